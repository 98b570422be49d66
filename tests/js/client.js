import net from 'node:net';
import kafkajs from 'kafkajs';

/** Every address that was dialled: what the client was led to shows there. */
export const dialled = new Set();

const dial = ({ host, port, onConnect }) => {
  dialled.add(`${host}:${port}`);
  return net.connect({ host, port }, onConnect);
};

const complain = () => ({ label, log }) => console.error(label, JSON.stringify(log));

export function newClient(bootstrap) {
  const { Kafka, logLevel } = kafkajs;
  return new Kafka({
    brokers: bootstrap.split(','),
    socketFactory: dial,
    logLevel: logLevel.WARN,
    logCreator: complain,
  });
}
