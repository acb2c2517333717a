// How fast a large public room is imported with the embedded store, against the least that must be done for
// it: verifying the same signatures, by node:crypto, on all cores, in the same run.
//
// Each import is a process of its own, so that its memory is its own; the last one is profiled.

import { fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type ReceivedPdu, receivePdu } from '../src/event/receive.js';
import { rulesOf } from '../src/event/rules.js';
import { isObject, own } from '../src/event/json.js';
import { fromBase64 } from '../src/lib/base64.js';
import { utf8 } from '../src/lib/bytes.js';
import { assert } from '../src/lib/errors.js';
import { type PublicKeyFile, writeRoom } from '../tools/generate/generate-room.js';
import type { BenchContext } from './context.js';
import type { ImportOutcome, ImportRequest } from './import-run.js';
import type { SignedMessage } from './import-verify.js';
import { median } from './measure.js';
import { type Findings, grouped } from './report/report.js';
import { temporaryFolder } from './stores.js';

const ROUNDS = 3;

export async function measureImport(context: BenchContext): Promise<Findings> {
  const { path, remove } = await temporaryFolder();
  try {
    const files = { out: join(path, 'room.jsonl'), keys: join(path, 'keys.json') };
    context.say('generating a room');
    const options = context.isQuick
      ? ({ members: 300, servers: 60, roomVersion: '10' } as const)
      : ({ preset: 'hq' } as const);
    const { roomVersion, eventCount } = await writeRoom(options, files);
    const messages = await signedMessages(files, roomVersion);
    const verifySeconds: number[] = [];
    const outcomes: ImportOutcome[] = [];
    for (let round = 0; round < (context.isQuick ? 1 : ROUNDS); round++) {
      context.say(`importing ${grouped(eventCount)} events, round ${round + 1}`);
      verifySeconds.push(await verifyOnAllCores(messages));
      outcomes.push(
        await importOnce({ ...files, store: join(path, `store-${round}`), roomVersion, profiles: false }),
      );
    }
    context.say('importing once more, profiled');
    const profiled = await importOnce({
      ...files,
      store: join(path, 'store-p'),
      roomVersion,
      profiles: true,
    });
    return findings(eventCount, messages.length, verifySeconds, outcomes, profiled);
  } finally {
    await remove();
  }
}

function findings(
  eventCount: number,
  signatures: number,
  verifySeconds: readonly number[],
  outcomes: readonly ImportOutcome[],
  profiled: ImportOutcome,
): Findings {
  for (const { accepted } of outcomes) assert(accepted === eventCount, 'every event of the room is accepted');
  const seconds = median(outcomes.map((outcome) => outcome.seconds));
  const verifying = median(verifySeconds);
  const shares = profiled.shares.map(({ what, percent }) => `${what} ${percent.toFixed(0)} %`).join(', ');
  return {
    series: [],
    targets: [
      {
        name: 'import rate against verifying alone',
        unit: 'percent',
        bound: 'at least',
        limit: 25,
        reached: (100 * verifying) / seconds,
        remark: `${seconds.toFixed(2)} s against ${verifying.toFixed(2)} s`,
      },
      { name: 'events imported', unit: 'per_second', bound: 'none', limit: 0, reached: eventCount / seconds },
      {
        name: 'signatures verified, all cores',
        unit: 'per_second',
        bound: 'none',
        limit: 0,
        reached: signatures / verifying,
      },
      {
        name: 'peak memory of an import',
        unit: 'bytes',
        bound: 'below',
        limit: 400e6,
        reached: Math.max(...outcomes.map(({ rssBytesMax }) => rssBytesMax)),
      },
    ],
    remarks: [
      `Import: ${grouped(eventCount)} events with ${grouped(signatures)} signatures, durability sync, one verifier ` +
        `thread a core; each import in a process of its own.`,
      `Where the main thread of an import spends its time: ${shares}.`,
    ],
  };
}

/** Every required signature of a room with the bytes that it covers. */
export async function signedMessages(
  files: { readonly out: string; readonly keys: string },
  roomVersion: string,
): Promise<SignedMessage[]> {
  const rules = rulesOf(roomVersion);
  assert(rules !== undefined, `there is a room version ${roomVersion}`);
  const keys = JSON.parse(await readFile(files.keys, 'utf8')) as PublicKeyFile;
  const messages: SignedMessage[] = [];
  for (const line of (await readFile(files.out, 'utf8')).split('\n')) {
    if (line === '') continue;
    messages.push(...signaturesOf(receivePdu(utf8(line), rules), keys));
  }
  return messages;
}

/** The required signatures of one event, those whose keys are known. */
export function signaturesOf(
  { pdu, signers, signedBytes }: ReceivedPdu,
  keys: PublicKeyFile,
): SignedMessage[] {
  const signatures = own(pdu.json, 'signatures');
  return signers.flatMap((server) => {
    const ofServer = isObject(signatures) ? own(signatures, server) : undefined;
    if (!isObject(ofServer)) return [];
    return Object.entries(ofServer).flatMap(([keyId, text]) => {
      const signature = typeof text === 'string' ? fromBase64(text) : undefined;
      const publicKey = keys[server]?.[keyId];
      if (signature === undefined || publicKey === undefined) return [];
      return [{ publicKey, signature, bytes: signedBytes }];
    });
  });
}

/** Seconds to verify all, shared out evenly; keys and messages are with the threads before the clock starts. */
export async function verifyOnAllCores(messages: readonly SignedMessage[]): Promise<number> {
  const threads = availableParallelism();
  const share = Math.ceil(messages.length / threads);
  const workers = Array.from({ length: threads }, (_, i) => {
    const workerData = messages.slice(i * share, (i + 1) * share);
    return new Worker(new URL('./import-verify.js', import.meta.url), { workerData });
  });
  try {
    await Promise.all(workers.map((worker) => answer(worker)));
    const start = performance.now();
    const answers = workers.map((worker) => answer(worker));
    for (const worker of workers) worker.postMessage('verify', []);
    const wrong = (await Promise.all(answers)).reduce((sum, count) => sum + count, 0);
    assert(wrong === 0, 'every signature of a generated room holds');
    return (performance.now() - start) / 1e3;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function answer(worker: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

/** One import in a process of its own. */
function importOnce(request: ImportRequest): Promise<ImportOutcome> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL('./import-run.js', import.meta.url), [JSON.stringify(request)]);
    let outcome: ImportOutcome | undefined;
    child.once('message', (message) => {
      outcome = message as ImportOutcome;
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (outcome === undefined) reject(new Error(`an import ended with code ${code} and said nothing`));
      else resolve(outcome);
    });
  });
}
