// kafkajs, told to do what the clients of other languages are told as well.
//
// Arguments: TASK BOOTSTRAP ... [SETTING=VALUE ...]; every task prints one JSON object a line, and as the last one every
// address that was dialled.
import { admin } from './admin.js';
import { dialled, newClient } from './client.js';
import { consume, rebalance } from './groups.js';
import { say } from './lines.js';
import { produce } from './produce.js';

const tasks = { admin, consume, produce, rebalance };
const [task, bootstrap, ...args] = process.argv.slice(2);

// Without this an error somewhere inside would leave the program waiting.
process.on('unhandledRejection', error => {
  console.error(error);
  process.exit(1);
});
await tasks[task](newClient(bootstrap), args);
say({ dialled: [...dialled].sort() });
process.exit(0);
