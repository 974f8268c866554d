// Asks through the clients for Node, on behalf of tests/flows/clients/apart.py: a line of JSON in, a line of JSON out.
// In: {client, line, messages, streamed}; `line` is the document's, and makes the client. Out: {text, held}, or
// {refused: {kind, status}} for a status that is not 2xx, or {broken: why}.
import { createInterface } from "node:readline";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, streamText } from "ai";
import OpenAI, { APIError } from "openai";

const MODEL = "qwen3-vl-8b";
const make = (line) => new Function("OpenAI", "createOpenAICompatible", `return ${line}`)(OpenAI, createOpenAICompatible);

const clients = {
  async openai({ line, messages, streamed }) {
    const reply = await make(line).chat.completions.create({ model: MODEL, messages, stream: streamed });
    if (!streamed) return { text: reply.choices[0].message.content, held: reply };
    const chunks = [];
    for await (const chunk of reply) chunks.push(chunk);
    return { text: chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), held: chunks };
  },

  async ai({ line, messages, streamed }) {
    const asked = { model: make(line)(MODEL), messages: messages.map(asModelMessage), maxRetries: 0 };
    if (!streamed) {
      const { text, reasoningText, finishReason, usage, response } = await generateText(asked);
      return { text, held: { reasoningText, finishReason, usage, id: response.id, body: response.body } };
    }
    const parts = [];
    for await (const part of streamText({ ...asked, onError() {} }).fullStream) {
      if (part.type === "error") throw part.error;
      parts.push(received(part));
    }
    return { text: parts.map((part) => (part.type === "text-delta" ? part.text : "")).join(""), held: parts };
  },
};

function asModelMessage({ role, content }) {
  if (role === "assistant") return { role, content };
  const part = (one) => (one.type === "text" ? one : { type: "image", image: one.image_url.url });
  return { role, content: content.map(part) };
}

// What the client itself adds is left out: the number of a part of text, the request once more, headers, its clock.
function received({ id, request, ...part }) {
  if (part.type !== "finish-step") return part;
  const { headers, timestamp, ...response } = part.response;
  return { ...part, response };
}

function told(error) {
  if (error instanceof APIError && error.status) return { refused: { kind: error.constructor.name, status: error.status } };
  if (APICallError.isInstance(error) && error.statusCode >= 400) {
    return { refused: { kind: error.name, status: error.statusCode } };
  }
  return { broken: String(error) };
}

for await (const asked of createInterface({ input: process.stdin })) {
  const question = JSON.parse(asked);
  const answer = await clients[question.client](question).catch(told);
  process.stdout.write(JSON.stringify(answer) + "\n");
}
