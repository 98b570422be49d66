import fs from 'node:fs';
import readline from 'node:readline';

export function say(line) {
  // At once: what is buffered would be lost when the process exits.
  fs.writeSync(1, `${JSON.stringify(line)}\n`);
}

/** The arguments of the form NAME=VALUE. */
export function readSettings(args) {
  return Object.fromEntries(args.map(arg => arg.split(/=(.*)/s, 2)));
}

/** The records on standard input, one group for each flush. */
export async function* cases() {
  let waiting = [];
  for await (const text of readline.createInterface({ input: process.stdin })) {
    const line = JSON.parse(text);
    if (line.flush) {
      yield waiting;
      waiting = [];
    } else {
      waiting.push(line);
    }
  }
  if (waiting.length > 0) {
    yield waiting;
  }
}

export const fromHex = text => (text === null ? null : Buffer.from(text, 'hex'));
export const toHex = bytes => (bytes === null ? null : Buffer.from(bytes).toString('hex'));

export const sleep = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

export async function waitUntil(what, holds) {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > end) {
      throw new Error(`still waiting: ${what}`);
    }
    await sleep(20);
  }
}
