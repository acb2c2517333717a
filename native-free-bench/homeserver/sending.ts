// How many messages a second twenty clients send, each waiting for its answer before it sends the next, against
// how often the same clients get the cheapest answer there is.

import { assert } from '../../src/lib/errors.js';
import type { BenchContext } from '../context.js';
import { median } from '../measure.js';
import { grouped, type Target } from '../report/report.js';
import { Connection, requestBytes } from './connection.js';
import type { ServerProcess } from './processes.js';
import type { World, WorldRequest } from './world.js';

const VERSIONS = requestBytes('GET', '/_matrix/client/versions');
const CONTENT = { msgtype: 'm.text', body: 'Is anybody there? It has been very quiet here today.' };

/** Requests a second in each round. */
interface Rates {
  readonly versions: number[];
  readonly few: number[];
  readonly large: number[];
}

export async function measureSending(
  context: BenchContext,
  { address }: ServerProcess,
  world: World,
  { largeMembers, senders }: WorldRequest,
): Promise<Target[]> {
  const clients = await Promise.all(
    world.senderTokens.map(async (token) => ({ token, connection: await Connection.open(address) })),
  );
  const { rounds, phaseMs } = context.isQuick ? { rounds: 1, phaseMs: 300 } : { rounds: 5, phaseMs: 2_000 };
  let sent = 0;
  /** Requests a second of all clients together. */
  const rate = async (requestOf: (token: string) => Buffer, durationMs: number): Promise<number> => {
    const start = performance.now();
    const counts = clients.map(async ({ token, connection }) => {
      let count = 0;
      for (; performance.now() - start < durationMs; count++) {
        const { status, body } = await connection.ask(requestOf(token));
        assert(status === 200, `what is sent is taken: ${body.toString()}`);
      }
      return count;
    });
    const total = (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    return (1e3 * total) / (performance.now() - start);
  };
  const sendTo = (roomId: string) => (token: string) =>
    requestBytes(
      'PUT',
      `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${sent++}`,
      token,
      CONTENT,
    );
  const phases = {
    versions: () => VERSIONS,
    few: sendTo(world.fewRoomId),
    large: sendTo(world.inLarge.roomId),
  };
  for (const requestOf of Object.values(phases)) await rate(requestOf, phaseMs / 2);
  const rates: Rates = { versions: [], few: [], large: [] };
  for (let round = 0; round < rounds; round++) {
    const names = Object.keys(phases) as (keyof Rates)[];
    for (const name of round % 2 === 0 ? names : names.reverse()) {
      rates[name].push(await rate(phases[name], phaseMs));
    }
  }
  for (const { connection } of clients) connection.close();
  return targetsOf(rates, clients.length, senders, largeMembers);
}

function targetsOf(rates: Rates, clients: number, few: number, large: number): Target[] {
  const percent = (part: readonly number[], whole: readonly number[]): number =>
    median(part.map((rate, round) => (100 * rate) / (whole[round] ?? Number.NaN)));
  const against = `${grouped(median(rates.few))}/s against ${grouped(median(rates.versions))}/s`;
  return [
    {
      name: `messages sent by ${clients} clients, against GET /versions`,
      unit: 'percent',
      bound: 'at least',
      limit: 15,
      reached: percent(rates.few, rates.versions),
      remark: against,
    },
    {
      name: `messages sent to ${grouped(large)} members, against ${few}`,
      unit: 'percent',
      bound: 'at least',
      limit: 80,
      reached: percent(rates.large, rates.few),
      remark: `${grouped(median(rates.large))}/s`,
    },
  ];
}
