// peer answers for @polkadot/util-crypto: one JSON request per line on standard
// input, one JSON answer per line on standard output. interop_test.go asks.
import { createInterface } from 'node:readline';
import {
  cryptoWaitReady, decodeAddress, encodeAddress, keyExtractSuri, keyFromPath,
  mnemonicToMiniSecret, sr25519PairFromSeed, sr25519Sign, sr25519Verify,
} from '@polkadot/util-crypto';

const devPhrase = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk';
const toHex = (bytes) => Buffer.from(bytes).toString('hex');
const fromHex = (text) => new Uint8Array(Buffer.from(text, 'hex'));

function pairOf(uri) {
  const { phrase, path } = keyExtractSuri(uri.startsWith('/') ? devPhrase + uri : uri);
  const seed = phrase.startsWith('0x') ? fromHex(phrase.slice(2)) : mnemonicToMiniSecret(phrase);
  return keyFromPath(sr25519PairFromSeed(seed), path, 'sr25519');
}

const calls = {
  key: ({ uri }) => {
    const { publicKey, secretKey } = pairOf(uri);
    return { publicKey: toHex(publicKey), privateKey: toHex(secretKey), address: encodeAddress(publicKey, 42) };
  },
  sign: ({ uri, message }) => ({ signature: toHex(sr25519Sign(fromHex(message), pairOf(uri))) }),
  verify: ({ publicKey, message, signature }) => ({
    ok: sr25519Verify(fromHex(message), fromHex(signature), fromHex(publicKey)),
  }),
  encode: ({ publicKey }) => ({ address: encodeAddress(fromHex(publicKey), 42) }),
  decode: ({ address }) => ({ publicKey: toHex(decodeAddress(address, false, 42)) }),
};

await cryptoWaitReady();
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  console.log(JSON.stringify(calls[request.call](request)));
}
