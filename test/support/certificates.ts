/** Certificates as a private authority gives them, made with openssl in a folder of a test. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export type Certificate = { readonly ca: string; readonly cert: string; readonly key: string };

/** Files for a server on 127.0.0.1, also called localhost. */
export async function certificateIn(dir: string): Promise<Certificate> {
  const at = (name: string) => join(dir, name);
  const openssl = (...args: string[]) => run("openssl", args, { cwd: dir });
  await openssl(
    ...["req", "-x509", ...KEY, "-keyout", at("ca.key"), "-out", at("ca.pem")],
    ...["-subj", "/CN=A private authority", "-days", "2"],
  );
  await openssl(
    ...["req", ...KEY, "-keyout", at("server.key"), "-out", at("server.csr")],
    ...["-subj", "/CN=localhost"],
  );
  await writeFile(at("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  await openssl(
    ...["x509", "-req", "-in", at("server.csr"), "-CA", at("ca.pem"), "-CAkey", at("ca.key")],
    ...["-CAcreateserial", "-out", at("server.pem"), "-days", "2", "-extfile", at("names")],
  );
  return { ca: at("ca.pem"), cert: at("server.pem"), key: at("server.key") };
}
