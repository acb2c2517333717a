// What the core tells of itself: how long its phases take, how large resolutions are, what waits.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CORE_PHASES, type CorePhase } from '../../src/core/observer.js';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import { internalRoomId } from '../../src/event/internal.js';
import { loadRoom } from '../fixtures.js';

const test = suite('core/observer');

interface Seen {
  readonly phases: Map<CorePhase, number[]>;
  readonly conflicts: number[];
}

async function observedEngine(): Promise<{ readonly engine: Engine; readonly seen: Seen }> {
  const seen: Seen = { phases: new Map(CORE_PHASES.map((phase) => [phase, []])), conflicts: [] };
  const engine = await openEngine({
    observer: {
      phase: (phase, ms) => void seen.phases.get(phase)?.push(ms),
      resolution: (conflicts) => void seen.conflicts.push(conflicts),
    },
  });
  return { engine, seen };
}

test('every event is evaluated and judged once, every group committed once, every conflict told with its size', async () => {
  const { engine, seen } = await observedEngine();
  const { lines, rules } = loadRoom('forks-v12');
  for (const line of lines) await engine.receive(line, { roomVersion: rules.version });
  const { groups } = engine.core.writer.stats;
  const counts = (phase: CorePhase): number => seen.phases.get(phase)?.length ?? 0;
  assert.is(counts('evaluate'), lines.length);
  assert.ok(counts('judge') >= lines.length, 'those that waited are judged again');
  assert.ok(counts('commit') >= groups && groups > 0);
  assert.is(counts('release'), 0, 'nobody listens');
  for (const times of seen.phases.values()) assert.ok(times.every((ms) => ms >= 0 && ms < 60_000));
  assert.ok(seen.conflicts.length > 0, 'the room has forks');
  assert.ok(seen.conflicts.some((conflicts) => conflicts > 0));
  await engine.close();
});

test('a release is told for each listener, and records of the server are judged too', async () => {
  const { engine, seen } = await observedEngine();
  const ending = new AbortController();
  const listening = [1, 2].map(async () => {
    for await (const { seqLast } of engine.released({ signal: ending.signal })) if (seqLast === 1) return;
  });
  // They listen before anything is committed: what is committed already is no release.
  await new Promise((resolve) => setImmediate(resolve));
  await engine.internal.write([{ roomId: internalRoomId('x'), type: 't', stateKey: 'a', content: {} }]);
  await Promise.all(listening);
  ending.abort();
  assert.is(seen.phases.get('judge')?.length, 1);
  assert.is(seen.phases.get('commit')?.length, 1);
  assert.is(seen.phases.get('release')?.length, 2);
  await engine.close();
});

test('what waits is counted while it waits, and nothing is left when all is done', async () => {
  const { engine } = await observedEngine();
  const { lines, rules } = loadRoom('small-v11');
  const receive = (line: Uint8Array) => engine.receive(line, { roomVersion: rules.version });
  const verdicts = lines.slice(0, 5).map(receive);
  let most = engine.core.depths();
  // Between their arrival and the first one's turn there are some turns of promises.
  for (let turns = 0; turns < 100; turns++) {
    await Promise.resolve();
    if (engine.core.depths().arrivals > most.arrivals) most = engine.core.depths();
  }
  assert.ok(most.arrivals > 0);
  assert.is(most.lanes, 1);
  await Promise.all(verdicts);
  await engine.core.idle();
  assert.equal(engine.core.depths(), { lanes: 0, arrivals: 0, decisions: 0, horizon: 0 });
  for (const line of lines.slice(-1)) await receive(line);
  assert.is(engine.core.depths().horizon, 1);
  await engine.close();
});

test.run();
