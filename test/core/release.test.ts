// What is committed reaches whoever listens: with outliers or without, at hand or from the store.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import { type FixtureRoom, loadRoom } from '../fixtures.js';

const test = suite('core/release');

/** Takes the whole room as outliers first, but for where it begins, then in its place. */
async function takeTwice({ lines, rules }: FixtureRoom, engine: Engine): Promise<void> {
  const options = { roomVersion: rules.version, from: 'resident.test' };
  for (const line of lines.slice(1)) await engine.receive(line, { ...options, asOutlier: true });
  for (const line of lines) await engine.receive(line, options);
}

/** Ids and seqs of all that a listener is told, in order. */
async function toldOf(
  engine: Engine,
  options: { readonly placedOnly?: boolean },
  work: () => Promise<void> = () => Promise.resolve(),
): Promise<string[]> {
  const told: string[] = [];
  const ending = new AbortController();
  let reached = 0;
  const listening = (async () => {
    for await (const { seqLast, events } of engine.released({ ...options, signal: ending.signal })) {
      for (const { seq, row } of events) told.push(`${seq} ${row.eventId} ${row.isOutlier ? 'outlier' : ''}`);
      reached = seqLast;
    }
  })();
  // It listens before anything is committed.
  await new Promise((resolve) => setImmediate(resolve));
  await work();
  const isBehind = (): boolean => reached < engine.watermark;
  while (isBehind()) await new Promise((resolve) => setImmediate(resolve));
  ending.abort();
  await listening;
  return told;
}

test('who wants no outliers is told of each event once, where its place is, also of those at hand', async () => {
  const engine = await openEngine();
  const room = loadRoom('forks-v12');
  const meanwhile = await toldOf(engine, { placedOnly: true }, () => takeTwice(room, engine));
  const later = await toldOf(engine, { placedOnly: true });
  assert.equal(meanwhile, later);
  assert.not.ok(later.some((one) => one.endsWith('outlier')));
  const ids = later.map((one) => one.split(' ')[1]);
  assert.equal([...ids].sort(), [...room.expected.event_ids].sort());
  await engine.close();
});

test('who wants outliers is told of each that has no place, beside who wants none', async () => {
  const engine = await openEngine();
  const { lines, rules, expected } = loadRoom('forks-v12');
  const options = { roomVersion: rules.version, from: 'resident.test' };
  const [all, placed] = await Promise.all([
    toldOf(engine, {}, async () => {
      await engine.receive(lines[0] as Uint8Array, options);
      for (const line of lines.slice(1, 6)) await engine.receive(line, { ...options, asOutlier: true });
    }),
    toldOf(engine, { placedOnly: true }, async () => {
      while (engine.watermark < 1) await new Promise((resolve) => setImmediate(resolve));
    }),
  ]);
  assert.is(all.filter((one) => one.endsWith('outlier')).length, 5);
  assert.equal(all, await toldOf(engine, {}));
  assert.equal(
    placed.map((one) => one.split(' ')[1]),
    [expected.event_ids[0]],
  );
  await engine.close();
});

test.run();
