// peer speaks btauth/1 with @polkadot/util-crypto and Node's own modules, and
// the API of OpenAI with its official client: one JSON request per line on
// standard input, one JSON answer per line on standard output.
// interop_test.go asks.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import {
  cryptoWaitReady, decodeAddress, ed25519PairFromSeed, ed25519Sign, ed25519Verify, encodeAddress,
  keyExtractSuri, keyFromPath, mnemonicToMiniSecret, sr25519PairFromSeed, sr25519Sign, sr25519Verify,
} from '@polkadot/util-crypto';
import OpenAI from 'openai';

const devPhrase = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk';
const schemes = {
  sr25519: { pair: sr25519PairFromSeed, sign: sr25519Sign, verify: sr25519Verify },
  ed25519: { pair: ed25519PairFromSeed, sign: ed25519Sign, verify: ed25519Verify },
};

function pairOf(uri, scheme) {
  const { phrase, path } = keyExtractSuri(devPhrase + uri);
  return keyFromPath(schemes[scheme].pair(mnemonicToMiniSecret(phrase)), path, scheme);
}

function payload(scheme, method, target, body, nonce, sender, receiver) {
  const hash = createHash('sha256').update(body).digest('hex');
  return ['btauth/1', scheme, method.toUpperCase(), target, hash, nonce, sender, receiver ?? '-'].join('\n');
}

let lastNonce = 0n;
function freshNonce() {
  const now = BigInt(Date.now()) * 1000000n;
  lastNonce = now > lastNonce ? now : lastNonce + 1n;
  return lastNonce.toString();
}

// send makes one signed request and returns how it was answered.
async function send({ url, target, method, body, uri, scheme, receiver, spoil }) {
  const pair = pairOf(uri, scheme);
  const sender = encodeAddress(pair.publicKey, 42);
  const nonce = freshNonce();
  const message = payload(scheme, method, target, body, nonce, sender, receiver);
  const headers = {
    'content-type': 'application/json',
    'x-bittensor-version': '1',
    'x-bittensor-hotkey': sender,
    'x-bittensor-nonce': nonce,
    'x-bittensor-signature': '0x' + Buffer.from(schemes[scheme].sign(message, pair)).toString('hex'),
  };
  if (receiver) headers['x-bittensor-receiver'] = receiver;
  if (scheme !== 'sr25519') headers['x-bittensor-crypto'] = scheme;
  const sent = spoil ? body + ' ' : body;
  const response = await fetch(url + target, { method, headers, body: method === 'GET' ? undefined : sent });
  return { status: response.status, text: await response.text() };
}

// listen verifies what it is sent, as the receiver.
async function listen({ receiver }) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { headers } = request;
    const scheme = headers['x-bittensor-crypto'] ?? 'sr25519';
    const sender = headers['x-bittensor-hotkey'];
    const message = payload(scheme, request.method, request.url, Buffer.concat(chunks), headers['x-bittensor-nonce'],
      sender, headers['x-bittensor-receiver']);
    const signature = Buffer.from(headers['x-bittensor-signature'].slice(2), 'hex');
    const ok = headers['x-bittensor-version'] === '1' && headers['x-bittensor-receiver'] === receiver &&
      schemes[scheme].verify(message, signature, decodeAddress(sender, false, 42));
    response.writeHead(ok ? 200 : 401).end(ok ? sender : 'refused');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return { url: `http://127.0.0.1:${server.address().port}` };
}

// chat asks with the official client, as its documentation shows.
async function chat({ url, key, stream, prompt }) {
  const client = new OpenAI({ baseURL: url + '/v1', apiKey: key });
  const request = { model: 'subnet', messages: [{ role: 'user', content: prompt }] };
  try {
    if (!stream) {
      const completion = await client.chat.completions.create(request);
      return { status: 200, text: completion.choices[0].message.content };
    }
    let text = '';
    for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
      text += chunk.choices[0]?.delta?.content ?? '';
    }
    return { status: 200, text };
  } catch (error) {
    return { status: error.status ?? 0, text: error.constructor.name };
  }
}

const calls = { send, listen, chat };

await cryptoWaitReady();
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  console.log(JSON.stringify(await calls[request.call](request)));
}
