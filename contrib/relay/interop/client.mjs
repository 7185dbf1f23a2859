// client asks a validator through the official openai package: node client.mjs BASE_URL. Each call
// names its case as the model, and writes one line of JSON to standard output. interop_test.go
// serves the cases and reads the lines.
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'none', maxRetries: 0 });
const messages = [{ role: 'user', content: 'What is the capital of Peru?' }];
const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }];

// read iterates over the chunks of a stream.
async function read(model, more = {}, each = () => {}) {
  const got = { text: '', reasoning: '', roles: [], finish: [], models: [], objects: [], choices: [] };
  try {
    const stream = await client.chat.completions.create({ model, messages, stream: true, ...more });
    for await (const chunk of stream) {
      got.models.push(chunk.model);
      got.objects.push(chunk.object);
      got.choices.push(chunk.choices.length);
      if (chunk.usage) got.usage = chunk.usage;
      const [choice] = chunk.choices;
      if (!choice) continue;
      got.text += choice.delta.content ?? '';
      got.reasoning += choice.delta.reasoning_content ?? '';
      if (choice.delta.role) got.roles.push(choice.delta.role);
      if (choice.finish_reason) got.finish.push(choice.finish_reason);
      each(stream, got);
    }
  } catch (error) {
    got.error = { status: error.status ?? 0, code: error.code ?? '', api: error instanceof OpenAI.APIError };
  }
  for (const key of ['models', 'objects']) got[key] = [...new Set(got[key])];
  return got;
}

// accumulate lets the package's own helper put the chunks together.
async function accumulate(model, more = {}) {
  const runner = client.chat.completions.stream({ model, messages, ...more });
  const { choices: [{ message, finish_reason: finish }], usage } = await runner.finalChatCompletion();
  return { text: message.content, finish, calls: message.tool_calls ?? [], usage };
}

const cases = {
  text: () => read('text'),
  usage: () => read('usage', { stream_options: { include_usage: true } }),
  reasoning: () => read('reasoning'),
  pause: () => read('pause'),
  broken: () => read('broken'),
  none: () => read('none'),
  busy: () => read('busy'),
  failover: () => read('failover'),
  abort: () => read('abort', {}, (stream, got) => {
    if (got.text) stream.controller.abort();
  }),
  accumulated: () => accumulate('usage', { stream_options: { include_usage: true } }),
  tools: () => accumulate('tools', { tools }),
};

for (const [name, run] of Object.entries(cases)) {
  console.log(JSON.stringify({ name, ...(await run()) }));
}
