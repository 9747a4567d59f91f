/** The key of the sequence, for the edge app that writes it and the demo that reads it back. */
export const key = "seq";
