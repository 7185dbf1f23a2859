// peer answers for @ideallabs/timelock_wasm_wrapper: one JSON request per line on standard input, one
// JSON answer per line on standard output. interop_test.go asks. All bytes are hexadecimal.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import init, { tld, tle } from '@ideallabs/timelock_wasm_wrapper';

const curve = 'bls12_381';
const toHex = (bytes) => Buffer.from(bytes).toString('hex');
const fromHex = (text) => [...Buffer.from(text, 'hex')];

function identity(round) {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(round));
  return [...createHash('sha256').update(number).digest()];
}

const calls = {
  encrypt: ({ round, message, secret, key }) => ({
    data: toHex(tle(identity(round), fromHex(message), fromHex(secret), fromHex(key), curve)),
  }),
  decrypt: ({ ciphertext, signature }) => ({
    data: toHex(tld(fromHex(ciphertext), fromHex(signature), curve)),
  }),
};

const wasm = new URL(import.meta.resolve('@ideallabs/timelock_wasm_wrapper/timelock_wasm_wrapper_bg.wasm'));
await init({ module_or_path: readFileSync(wasm) });
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  try {
    console.log(JSON.stringify(calls[request.call](request)));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
