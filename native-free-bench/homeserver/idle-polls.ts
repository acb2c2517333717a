// What thousands of clients who wait for news that do not come make the server's process hold: its memory with them
// against its memory before they came, both at rest.

import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../../src/lib/errors.js';
import { grouped, type Target } from '../report/report.js';
import { Connection, requestBytes } from './connection.js';
import type { ServerProcess } from './processes.js';
import type { World } from './world.js';

const TIMEOUT_MS = 600_000;
const OPENED_AT_ONCE = 50;
/** So long nothing is asked and nobody answered: all wait then, and what is given back at rest is given back. */
const QUIET_MS = 20_000;
const QUIET_MS_QUICK = 500;

export async function measureIdlePolls(
  server: ServerProcess,
  { idlerTokens }: World,
  isQuick: boolean,
): Promise<Target[]> {
  const quietMs = isQuick ? QUIET_MS_QUICK : QUIET_MS;
  await sleep(quietMs);
  const before = await server.rssBytes();
  const connections: Connection[] = [];
  const state = { isOver: false, lastAnswerAt: performance.now(), waiting: 0 };
  const polls: Promise<void>[] = [];
  for (let at = 0; at < idlerTokens.length; at += OPENED_AT_ONCE) {
    const batch = idlerTokens.slice(at, at + OPENED_AT_ONCE).map(async (token) => {
      const connection = await Connection.open(server.address);
      connections.push(connection);
      const since = await poll(connection, token, undefined);
      polls.push(keepPolling(connection, token, since, state));
    });
    await Promise.all(batch);
  }
  while (performance.now() - state.lastAnswerAt < quietMs) await sleep(quietMs / 5);
  assert(state.waiting === idlerTokens.length, 'every client waits');
  const rss = await server.rssBytes();
  state.isOver = true;
  for (const connection of connections) connection.close();
  await Promise.all(polls);
  const count = grouped(idlerTokens.length);
  return [
    {
      name: `memory that ${count} idle long polls hold`,
      unit: 'bytes',
      bound: isQuick ? 'none' : 'below',
      limit: 300e6,
      reached: rss - before,
      remark: `the whole process has ${grouped(rss / 1e6)} MB, ${grouped(before / 1e6)} MB before they came`,
    },
  ];
}

/** Asks again and again, as a client does; each time it waits. */
async function keepPolling(
  connection: Connection,
  token: string,
  first: string,
  state: { isOver: boolean; lastAnswerAt: number; waiting: number },
): Promise<void> {
  let since = first;
  while (!state.isOver) {
    state.waiting++;
    try {
      since = await poll(connection, token, since);
    } catch (error) {
      if (state.isOver) return;
      throw error;
    }
    state.waiting--;
    state.lastAnswerAt = performance.now();
  }
}

/** @returns the token to go on from */
async function poll(connection: Connection, token: string, since: string | undefined): Promise<string> {
  const query = since === undefined ? '' : `?timeout=${TIMEOUT_MS}&since=${since}`;
  const { status, body } = await connection.ask(
    requestBytes('GET', `/_matrix/client/v3/sync${query}`, token),
  );
  assert(status === 200, `a poll is answered: ${body.toString()}`);
  return /"next_batch":"([^"]+)"/.exec(body.toString())?.[1] ?? '';
}
