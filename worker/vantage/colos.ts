/**
 * Cloudflare's data centres by the region that a location hint means.
 *
 * Rules: the well-known ones, by the code of their airport. Cloudflare publishes no such list: one that lies between two
 * regions (Dallas, Vienna, Stockholm), and one that is not known, is left out, since a wrong place is an event, and that
 * nobody knows is none.
 */
const byRegion: Readonly<Record<string, string>> = {
  wnam: "SJC SFO LAX SEA PDX SMF SAN LAS PHX SLC ANC HNL YVR YYC TIJ",
  enam: "IAD EWR BOS BUF PHL PIT RIC ORF CLT RDU ATL JAX TPA MIA TLH BNA CMH CLE DTW IND CVG ORD MKE YYZ YUL YOW YHZ",
  sam: "GRU GIG FOR POA CWB BSB CNF REC SSA EZE COR SCL LIM BOG MDE UIO GYE ASU LPB MVD CCS",
  weur: "LHR MAN EDI DUB CDG MRS LYS BOD AMS BRU LUX FRA DUS HAM MUC STR TXL BER ZRH GVA MAD BCN LIS MXP FCO PMO",
  eeur: "WAW PRG BUD OTP SOF KIV KBP RIX VNO TLL SKP BEG LED DME SVX",
  apac: "NRT KIX FUK OKA ICN TPE KHH HKG MFM SIN KUL JHB CGK DPS BKK CNX HAN SGN DAD MNL CEB PNH RGN BOM DEL MAA BLR HYD CCU AMD CMB DAC KTM",
  oc: "SYD MEL BNE PER ADL CBR HBA AKL CHC NOU SUV GUM",
  afr: "JNB CPT DUR LOS ACC NBO MBA DAR EBB KGL LAD MPM HRE LUN TNR MRU DKR ABJ CAI CMN TUN ALG",
  me: "DXB AUH DOH BAH KWI MCT RUH JED DMM AMM BEY BGW TLV HFA",
};

const regions = new Map(
  Object.entries(byRegion).flatMap(([region, colos]) =>
    colos.split(" ").map((colo): [string, string] => [colo, region]),
  ),
);

/** Null: not known. */
export const regionOf = (colo: string): string | null => regions.get(colo) ?? null;
