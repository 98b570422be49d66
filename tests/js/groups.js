import { cases, readSettings, say, sleep, toHex, waitUntil } from './lines.js';
import { newProducer, send } from './produce.js';

const PATIENCE = 20_000;

/** Reads TOPIC as a member of GROUP: COUNT records, or fewer if nothing comes for a while. */
export async function consume(client, [topic, group, count, ...settings]) {
  let [left, lastSeen] = [Number(count), Date.now()];
  const joined = await join(client, topic, group, readSettings(settings), record => {
    if (left > 0) {
      say(record);
      [left, lastSeen] = [left - 1, Date.now()];
    }
  });
  while (left > 0 && Date.now() - lastSeen < PATIENCE) {
    await sleep(20);
  }
  await joined.consumer.disconnect();
}

async function join(client, topic, group, settings, read) {
  const consumer = client.consumer({
    groupId: group,
    readUncommitted: settings.isolation !== 'read_committed',
  });
  const joined = { consumer, owned: [] };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    joined.owned = payload.memberAssignment[topic] ?? [];
  });
  consumer.on(consumer.events.REBALANCING, () => {
    joined.owned = [];
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ topic, partition, message }) => read(describe(topic, partition, message)),
  });
  return joined;
}

function describe(topic, partition, { offset, key, value, headers }) {
  const all = Object.entries(headers ?? {}).flatMap(([name, values]) =>
    [values].flat().map(header => [name, toHex(header)]),
  );
  return { topic, partition, offset: Number(offset), key: toHex(key), value: toHex(value), headers: all };
}

/**
 * Lets a second member join GROUP and leave it again. In each phase it sends the records on standard input, one for each
 * partition, and prints who owned what and who read what.
 */
export async function rebalance(client, [topic, group, ...settings]) {
  const all = [];
  for await (const some of cases()) {
    all.push(...some);
  }
  const producer = await newProducer(client, readSettings(settings));
  const members = {};
  let read = [];
  const add = async name => {
    const note = ({ partition, offset }) => read.push({ member: name, partition, offset });
    members[name] = await join(client, topic, group, readSettings(settings), note);
  };
  const phase = async name => {
    await waitUntil(`partitions are shared out: ${name}`, () => isSharedOut(members, all.length));
    const owned = Object.fromEntries(Object.entries(members).map(([who, it]) => [who, it.owned]));
    const stored = await send(producer, all, {});
    await waitUntil(`records are read: ${name}`, () => hasRead(read, all, stored));
    say({ phase: name, owned, read });
    read = [];
  };
  await add('first');
  await phase('alone');
  await add('second');
  await phase('together');
  await members.second.consumer.disconnect();
  delete members.second;
  await phase('alone again');
  await members.first.consumer.disconnect();
  await producer.disconnect();
}

/** Each partition has one owner, and each member a partition. */
function isSharedOut(members, partitions) {
  const owned = Object.values(members).map(member => member.owned);
  const all = owned.flat();
  return owned.every(some => some.length > 0) && all.length === partitions && new Set(all).size === partitions;
}

function hasRead(read, all, stored) {
  return stored.every(({ ok, offset, message }, at) => {
    if (!ok) {
      throw new Error(`not sent: ${message}`);
    }
    return read.some(it => it.partition === all[at].partition && it.offset === offset);
  });
}
