/** Certificates as a private authority gives them, made with openssl in a folder of a test. */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export type Certificate = { readonly ca: string; readonly cert: string; readonly key: string };

type Wanted = {
  /** Another authority than one of its own. */
  readonly by?: Certificate;
  readonly names?: string;
  /** Negative: it has run out. */
  readonly days?: number;
};

/** Files for a server on 127.0.0.1, also called localhost, unless another name is wanted. */
export async function certificateIn(
  dir: string,
  { by, names = "DNS:localhost,IP:127.0.0.1", days = 2 }: Wanted = {},
): Promise<Certificate> {
  await mkdir(dir, { recursive: true });
  const at = (name: string) => join(dir, name);
  const openssl = (...args: string[]) => run("openssl", args, { cwd: dir });
  const ca = by?.ca ?? at("ca.pem");
  if (by === undefined)
    await openssl(
      ...["req", "-x509", ...KEY, "-keyout", `${ca}.key`, "-out", ca],
      ...["-subj", `/CN=An authority in ${basename(dir)}`, "-days", "2"],
    );
  await openssl(
    ...["req", ...KEY, "-keyout", at("server.key"), "-out", at("server.csr")],
    ...["-subj", "/CN=a server"],
  );
  await writeFile(at("names"), `subjectAltName=${names}\n`);
  await openssl(
    ...["x509", "-req", "-in", at("server.csr"), "-CA", ca, "-CAkey", `${ca}.key`],
    ...["-CAcreateserial", "-out", at("server.pem"), "-days", String(days)],
    ...["-extfile", at("names")],
  );
  return { ca, cert: at("server.pem"), key: at("server.key") };
}
