// peer answers for @polkadot/util-crypto and libsodium: one JSON request per line
// on standard input, one JSON answer per line on standard output.
// interop_test.go asks.
import { createInterface } from 'node:readline';
import {
  cryptoWaitReady, decodeAddress, ed25519PairFromSeed, ed25519Sign, ed25519Verify, encodeAddress,
  keyExtractSuri, keyFromPath, mnemonicToMiniSecret, sr25519PairFromSeed, sr25519Sign, sr25519Verify,
} from '@polkadot/util-crypto';
import sodium from 'libsodium-wrappers-sumo';

const devPhrase = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk';
const toHex = (bytes) => Buffer.from(bytes).toString('hex');
const fromHex = (text) => new Uint8Array(Buffer.from(text, 'hex'));

const schemes = {
  sr25519: { pair: sr25519PairFromSeed, sign: sr25519Sign, verify: sr25519Verify },
  ed25519: { pair: ed25519PairFromSeed, sign: ed25519Sign, verify: ed25519Verify },
};

function pairOf(uri, scheme) {
  const { phrase, path } = keyExtractSuri(uri.startsWith('/') ? devPhrase + uri : uri);
  const seed = phrase.startsWith('0x') ? fromHex(phrase.slice(2)) : mnemonicToMiniSecret(phrase);
  return keyFromPath(schemes[scheme].pair(seed), path, scheme);
}

// keyfile encrypts the content of a key file as Bittensor's wallet does.
function keyfile({ content, password }) {
  const salt = sodium.from_hex('137183dff15a09bc9c90b5518739e9b1');
  const key = sodium.crypto_pwhash(32, password, salt, 8, 512 << 20, sodium.crypto_pwhash_ALG_ARGON2I13);
  const nonce = sodium.randombytes_buf(24);
  const box = sodium.crypto_secretbox_easy(content, nonce, key);
  return { file: Buffer.concat([Buffer.from('$NACL'), nonce, box]).toString('hex') };
}

const calls = {
  key: ({ uri, scheme }) => {
    const { publicKey, secretKey } = pairOf(uri, scheme);
    return { publicKey: toHex(publicKey), privateKey: toHex(secretKey), address: encodeAddress(publicKey, 42) };
  },
  sign: ({ uri, scheme, message }) => ({ signature: toHex(schemes[scheme].sign(fromHex(message), pairOf(uri, scheme))) }),
  verify: ({ scheme, publicKey, message, signature }) => ({
    ok: schemes[scheme].verify(fromHex(message), fromHex(signature), fromHex(publicKey)),
  }),
  encode: ({ publicKey }) => ({ address: encodeAddress(fromHex(publicKey), 42) }),
  decode: ({ address }) => ({ publicKey: toHex(decodeAddress(address, false, 42)) }),
  keyfile,
};

await cryptoWaitReady();
await sodium.ready;
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  console.log(JSON.stringify(calls[request.call](request)));
}
