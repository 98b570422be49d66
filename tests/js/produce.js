import kafkajs from 'kafkajs';
import { cases, fromHex, readSettings, say } from './lines.js';

/**
 * Sends the records on standard input. Those up to a flush are one `sendBatch`, or with `each=true` one `send` for each
 * of them, without waiting. With `transactional.id` they are a transaction, which is aborted if anything in it failed.
 */
export async function produce(client, args) {
  const settings = readSettings(args);
  const producer = await newProducer(client, settings);
  for await (const group of cases()) {
    const transactional = settings['transactional.id'] !== undefined;
    const transaction = transactional ? await producer.transaction() : null;
    const outcomes = await send(transaction ?? producer, group, settings);
    outcomes.forEach(say);
    if (transactional) {
      await end(transaction, outcomes.every(outcome => outcome.ok));
    }
  }
  await producer.disconnect();
}

/** Partitions are those of the records. */
export async function newProducer(client, settings) {
  const producer = client.producer({
    createPartitioner: () => ({ message }) => message.partition,
    idempotent: settings.idempotent === 'true',
    ...(settings['transactional.id'] && { transactionalId: settings['transactional.id'] }),
    ...(settings['in.flight'] && { maxInFlightRequests: Number(settings['in.flight']) }),
  });
  await producer.connect();
  return producer;
}

/** Waits for all, and says of each, in order, what became of it. */
export async function send(producer, group, settings) {
  const acks = Number(settings.acks ?? -1);
  const compression = kafkajs.CompressionTypes[(settings.compression ?? 'none').toUpperCase()];
  const batches = settings.each === 'true' ? group.map(one => [one]) : [group];
  const sent = batches.map(batch =>
    producer.sendBatch({ acks, compression, topicMessages: byTopic(batch) }).then(
      stored => offsets(batch, stored),
      error => batch.map(() => refusal(error)),
    ),
  );
  return (await Promise.all(sent)).flat();
}

async function end(transaction, commit) {
  try {
    await (commit ? transaction.commit() : transaction.abort());
    say({ transaction: commit ? 'committed' : 'aborted' });
  } catch (error) {
    say({ transaction: 'failed', message: error.message });
  }
}

function byTopic(batch) {
  const topics = new Map();
  for (const one of batch) {
    topics.set(one.topic, [...(topics.get(one.topic) ?? []), message(one)]);
  }
  return [...topics].map(([topic, messages]) => ({ topic, messages }));
}

function message({ partition, key, value, headers }) {
  const all = {};
  for (const [name, header] of headers) {
    all[name] = [...(all[name] ?? []), fromHex(header)];
  }
  return { partition, key: fromHex(key), value: fromHex(value), headers: all };
}

/** The client tells the first offset in each partition. */
function offsets(batch, stored) {
  const next = new Map(stored.map(it => [`${it.topicName} ${it.partition}`, Number(it.baseOffset)]));
  return batch.map(({ topic, partition }) => {
    const at = `${topic} ${partition}`;
    const offset = next.get(at);
    next.set(at, offset + 1);
    return { ok: true, offset };
  });
}

function refusal(error) {
  return { ok: false, error: error.name, code: error.code, message: error.message };
}
