// The same flows by clients of Node.js. See flows.py.
import OpenAI from "openai";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { z } from "zod";

const asked = "How is the weather in Köln and Rom?";
const weather = ({ city }) => `sunny in ${city}`;

async function openai_node(flow, baseURL) {
  const client = new OpenAI({ maxRetries: 0, baseURL });
  const messages = [{ role: "user", content: asked }];
  if (flow === "stream") {
    let text = "";
    const stream = await client.chat.completions.create({ model: "m", messages, stream: true });
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    return text;
  }
  if (flow === "tools") {
    const parameters = { type: "object", properties: { city: { type: "string" } } };
    const run = client.chat.completions.runTools({
      model: "m",
      messages,
      tools: [{
        type: "function",
        function: { name: "get_weather", parameters, parse: JSON.parse, function: weather },
      }],
    });
    return await run.finalContent();
  }
  const said = await client.chat.completions.create({ model: "m", messages });
  if (!(said.usage.total_tokens > 0)) throw new Error("no usage");
  return said.choices[0].message.content;
}

async function ai_sdk(flow, baseURL) {
  const provider = createOpenAICompatible({
    name: "fake",
    baseURL,
    includeUsage: true,
    apiKey: process.env.OPENAI_API_KEY,
  });
  const options = { model: provider("m"), prompt: asked, maxRetries: 0 };
  if (flow === "stream") {
    let text = "";
    const result = streamText(options);
    for await (const piece of result.textStream) text += piece;
    if (!((await result.usage).totalTokens > 0)) throw new Error("no usage");
    return text;
  }
  if (flow === "tools") {
    const inputSchema = z.object({ city: z.string() });
    options.tools = { get_weather: tool({ inputSchema, execute: async (given) => weather(given) }) };
    options.stopWhen = stepCountIs(5);
  }
  return (await generateText(options)).text;
}

const [client, wanted] = process.argv.slice(2);
const outcomes = {};
for (const [flow, url] of Object.entries(JSON.parse(wanted))) {
  try {
    outcomes[flow] = await { openai_node, ai_sdk }[client](flow, url);
  } catch (error) {
    if (flow !== "error") throw error;
    outcomes[flow] = `raised ${error.constructor.name}`;
  }
}
console.log(JSON.stringify(outcomes));
