// How fast a large public room of other servers is joined in full with the embedded store, against the least that
// must be done for it: verifying the same signatures, by node:crypto, on all cores, in the same run.
//
// Each join is a process of its own, so that its memory is its own.

import { fork } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject, type JsonObject, own, parseJson } from '../src/event/json.js';
import { utf8 } from '../src/lib/bytes.js';
import { assert } from '../src/lib/errors.js';
import { writeRoom } from '../tools/generate/generate-room.js';
import type { BenchContext } from './context.js';
import { signedMessages, verifyOnAllCores } from './import-rate.js';
import type { JoinRequest, JoinResult } from './joining-run.js';
import { median } from './measure.js';
import { type Findings, grouped } from './report/report.js';
import { temporaryFolder } from './stores.js';

const ROUNDS = 3;

export async function measureJoin(context: BenchContext): Promise<Findings> {
  const { path, remove } = await temporaryFolder();
  try {
    const files = { out: join(path, 'room.jsonl'), keys: join(path, 'keys.json') };
    context.say('generating a room to join');
    const options = context.isQuick
      ? ({ members: 300, servers: 60, roomVersion: '10' } as const)
      : ({ preset: 'hq' } as const);
    const { roomVersion } = await writeRoom(options, files);
    const answer = { chain: join(path, 'chain.jsonl'), state: join(path, 'state.jsonl') };
    const events = await writeAnswer(files.out, answer);
    const messages = await signedMessages({ out: answer.chain, keys: files.keys }, roomVersion);
    const verifySeconds: number[] = [];
    const results: JoinResult[] = [];
    for (let round = 0; round < (context.isQuick ? 1 : ROUNDS); round++) {
      context.say(`joining a room of ${grouped(events)} events, round ${round + 1}`);
      verifySeconds.push(await verifyOnAllCores(messages));
      const store = join(path, `store-${round}`);
      results.push(await joinOnce({ ...answer, keys: files.keys, store, roomVersion }));
    }
    return findings(events, median(verifySeconds), results);
  } finally {
    await remove();
  }
}

function findings(events: number, verifying: number, results: readonly JoinResult[]): Findings {
  for (const { dropped } of results) assert(dropped === 0, 'nothing of a generated room is dropped');
  const seconds = median(results.map((result) => result.seconds));
  return {
    series: [],
    targets: [
      {
        name: 'full join against verifying alone',
        unit: 'percent',
        bound: 'at least',
        limit: 25,
        reached: (100 * verifying) / seconds,
        remark: `${seconds.toFixed(2)} s against ${verifying.toFixed(2)} s`,
      },
      {
        name: 'peak memory of a full join',
        unit: 'bytes',
        bound: 'below',
        limit: 600e6,
        reached: Math.max(...results.map(({ rssBytesMax }) => rssBytesMax)),
      },
    ],
    remarks: [
      `Join: ${grouped(events)} events of state and auth chain, durability sync, one verifier thread a core; each ` +
        'join in a process of its own.',
    ],
  };
}

/** The room's last join with all state events before it, the join first; and those of them that are its state. */
async function writeAnswer(
  room: string,
  { chain, state }: { readonly chain: string; readonly state: string },
): Promise<number> {
  const lines = (await readFile(room, 'utf8')).split('\n').filter((line) => line !== '');
  const events = lines.map((line) => parseJson(utf8(line)) as JsonObject);
  const at = events.findLastIndex(isJoin);
  const before = events.slice(0, at).flatMap((event, i) => {
    const key = own(event, 'state_key');
    return key === undefined ? [] : [{ key: JSON.stringify([event['type'], key]), line: lines[i] ?? '' }];
  });
  const newest = new Map(before.map(({ key, line }) => [key, line]));
  await writeFile(chain, [lines[at], ...before.map(({ line }) => line)].join('\n'));
  await writeFile(state, [...newest.values()].join('\n'));
  return before.length + 1;
}

function isJoin(event: JsonObject): boolean {
  const content = own(event, 'content');
  const isOfMember =
    own(event, 'type') === 'm.room.member' && own(event, 'state_key') === own(event, 'sender');
  return isOfMember && isObject(content) && own(content, 'membership') === 'join';
}

/** One join in a process of its own. */
function joinOnce(request: JoinRequest): Promise<JoinResult> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL('./joining-run.js', import.meta.url), [JSON.stringify(request)]);
    let result: JoinResult | undefined;
    child.once('message', (message) => {
      result = message as JoinResult;
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (result === undefined) reject(new Error(`a join ended with code ${code} and said nothing`));
      else resolve(result);
    });
  });
}
