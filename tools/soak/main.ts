// The soak: the real server, many clients in many rooms, mixed traffic for minutes; and then the question whether
// everything is as it should be.
//
//   npm run soak -- --minutes 10 --clients 50 --rooms 200 --rate 60 --seed 1
//
// It fails on any answer that was not to be expected, on memory that grows, on a store that `fsck` finds wrong, and
// on any client whose view, made of its syncs alone, is not what the server says.

import { setMaxListeners } from 'node:events';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from './client.js';
import { Http } from './http.js';
import { Ledger } from './ledger.js';
import { judgeMemory } from './memory.js';
import { SoakedServer } from './server.js';
import { Traffic } from './traffic.js';
import { compareAll } from './verdict.js';

const PROGRESS_MS = 15_000;
/** Figures of the server's own that are told in the end. */
const METRICS =
  /^(nodejs_eventloop_lag_(mean|p99|max)|stateroom_(core_phase_seconds_(sum|count)|resolution_conflicts_(sum|count)|committed|commit_groups|collected|node_))/;

interface Options {
  readonly minutes: number;
  readonly clients: number;
  readonly rooms: number;
  /** Actions a second, of all clients together. */
  readonly rate: number;
  readonly seed: string;
}

const options = optionsOf(process.argv.slice(2));
const ledger = new Ledger();
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const server = await SoakedServer.start(ledger);
try {
  await soak(options);
} catch (error) {
  ledger.unexpected(
    'the soak broke',
    error instanceof Error ? (error.stack ?? error.message) : String(error),
  );
} finally {
  await server.clear();
}
report();

async function soak({ minutes, clients: count, rooms, rate, seed }: Options): Promise<void> {
  say(`soak: ${count} clients, ${rooms} rooms, ${minutes} minutes, ${rate} actions/s, seed ${seed}`);
  const http = new Http(server.address);
  const clients = Array.from({ length: count }, (_, i) => new Client(http, ledger, `user${i}`, seed));
  const start = performance.now();
  for (const client of clients) await client.register();
  for (const client of clients) client.start();
  const traffic = new Traffic(clients, ledger);
  await traffic.begin(rooms);
  say(`${traffic.world.rooms.length} rooms after ${seconds(start)} s`);

  const end = new AbortController();
  setMaxListeners(0, end.signal);
  const timer = setTimeout(() => end.abort(), minutes * 60_000);
  const pauseMs = Math.round((1_000 * count) / rate);
  const running = Promise.all(clients.map((client) => traffic.run(client, pauseMs, end.signal)));
  while (!end.signal.aborted && !server.hasEnded) {
    await sleep(PROGRESS_MS, undefined, { signal: end.signal }).catch(() => undefined);
    const megabytes = Math.round((server.memory.at(-1)?.anonymous ?? 0) / 1e6);
    say(`${seconds(start)} s: ${ledger.requests} requests, ${ledger.failures} failures, ${megabytes} MB`);
  }
  clearTimeout(timer);
  end.abort();
  await running;

  for (const client of clients) await client.stop();
  for (const client of clients) await client.settle();
  say(`compared: ${JSON.stringify(await compareAll(clients, traffic.world, ledger))}`);
  const metrics = await http.text('GET', '/_stateroom/metrics');
  for (const line of metrics.text.split('\n')) if (METRICS.test(line)) say(`  ${line}`);
  http.close();
  await endServer(minutes);
}

async function endServer(minutes: number): Promise<void> {
  const code = await server.stop();
  if (code !== 0) ledger.unexpected('server: exit', `the server ended with ${String(code)}`);
  for (const line of judgeMemory(server.memory, minutes, ledger)) say(line);
  const fsck = await server.command('fsck', '--json');
  say(`fsck: exit ${fsck.code} ${fsck.output.slice(0, 2_000).trim()}`);
  if (fsck.code !== 0) ledger.unexpected('fsck', 'the store is not as it should be');
}

function report(): void {
  for (const line of ledger.table()) say(line);
  if (ledger.failures === 0) {
    say(`passed: ${ledger.requests} requests`);
    return;
  }
  for (const finding of ledger.findings) say(`  ! ${finding}`);
  for (const line of ledger.unexpectedTable()) say(line);
  say(`failed: ${ledger.failures} failures in ${ledger.requests} requests`);
  process.exitCode = 1;
}

function seconds(start: number): number {
  return Math.round((performance.now() - start) / 1_000);
}

function optionsOf(words: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...words],
    options: {
      minutes: { type: 'string', default: '10' },
      clients: { type: 'string', default: '50' },
      rooms: { type: 'string', default: '200' },
      rate: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
    },
  });
  const number = (name: 'minutes' | 'clients' | 'rooms' | 'rate'): number => {
    const value = Number(values[name]);
    if (!(value > 0)) throw new Error(`--${name} is a number greater than 0`);
    return value;
  };
  return {
    minutes: number('minutes'),
    clients: number('clients'),
    rooms: number('rooms'),
    rate: number('rate'),
    seed: values.seed,
  };
}
