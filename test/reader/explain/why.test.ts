// Why on real rooms: what a server sent that its users may not, what soft failed, what is no longer current.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openEngine } from '../../../src/engine/engine.js';
import type { Why } from '../../../src/reader/explain/why.js';
import { openRoom } from './rooms.js';

const test = suite('reader/explain/why');

const outcomes = ({ checks }: Why): Record<string, boolean> =>
  Object.fromEntries(checks.map(({ check, passed }) => [check, passed]));

test('each rejected event is told with the rule, the levels and the remedy', async () => {
  const { engine, room } = await openRoom('rejects-v11');
  const rejected = Object.keys(room.expected.rejected_a);
  assert.is(rejected.length, 13);
  for (const id of rejected) {
    const told = await engine.why(id);
    assert.is(told.verdict, 'rejected');
    assert.is(told.state, null);
    const decided = told.checks.find(({ passed }) => !passed);
    assert.is(decided?.check, told.decided_by);
    assert.is(decided?.rule, told.rule);
    assert.is(decided?.reason, told.reason);
    assert.equal(
      told.notes.filter((note) => note.includes('damaged')),
      [],
    );
  }
  const topic = await engine.why(rejected[0] ?? '');
  assert.is(topic.type, 'm.room.topic');
  assert.is(topic.decided_by, 'auth_by_auth_events');
  assert.is(topic.rule, '7');
  assert.is(topic.reason, '@dora:delta.test:7104 may not send "m.room.topic": level 0, needed 50');
  assert.is(topic.remedy, '@dora:delta.test:7104 needs level 50, has 0');
  assert.is(topic.before?.sender_level, 0);
  assert.is(topic.before?.required_level, 50);
  assert.is(topic.before?.sender_membership, 'join');
  const facts = topic.checks.find(({ check }) => check === 'auth_by_state_before')?.facts ?? [];
  assert.ok(
    facts.some(({ event_id, says }) => event_id === topic.before?.power_levels && says.includes('level 50')),
  );
  await engine.close();
});

test('an event that cites a rejected one is rejected for that, and the state would have said more', async () => {
  const { engine, room } = await openRoom('rejects-v11');
  const levels = '$_iPhQzhTcpjmzP93vFOhMUNEeO1hoi8DjD9dq6uN3pc';
  assert.ok(levels in room.expected.rejected_a);
  const citing = Object.keys(room.expected.rejected_a).filter((id) =>
    engine.reader.event(id).pdu.authEvents.some((cited) => cited === levels),
  );
  const [first] = await Promise.all(citing.map((id) => engine.why(id)));
  assert.is(first?.decided_by, 'auth_events');
  assert.is(first?.rule, '2.3');
  assert.match(first?.reason ?? '', `auth_events hold ${levels}, which was rejected`);
  assert.is(first === undefined ? undefined : outcomes(first)['auth_by_state_before'], false);
  await engine.close();
});

test('a soft-failed event passes on its branch, and the current state that refused it is named', async () => {
  const { engine, room } = await openRoom('forks-v10');
  for (const id of room.expected.soft_failed_a) {
    const told = await engine.why(id);
    assert.is(told.verdict, 'soft_failed');
    assert.is(told.decided_by, 'auth_by_current_state');
    assert.equal(outcomes(told), {
      format: true,
      content_hash: true,
      auth_events: true,
      auth_by_auth_events: true,
      auth_by_state_before: true,
      auth_by_current_state: false,
    });
    const last = told.checks.at(-1);
    assert.match(last?.root ?? '', /^[0-9a-f]{64}$/);
    assert.is.not(last?.root, told.before?.root);
    assert.is(last?.reason, told.reason);
  }
  await engine.close();
});

test('an accepted event that lost is told at which merge, to what, and by which rule', async () => {
  const { engine } = await openRoom('reset-v10');
  const told = await engine.why('$ewMDhvRCdiSwurRa-yrx9S3TWjL_g0FP_4r-5881HAw');
  assert.is(told.verdict, 'accepted');
  assert.is(told.decided_by, null);
  assert.ok(told.checks.every(({ passed }) => passed));
  assert.is(told.state?.current, false);
  const [ending] = told.state?.endings ?? [];
  assert.is(ending?.kind, 'lost');
  assert.is(ending?.at, '$737sLpvZOyxXLTgj__izgpABryblzEOlF-L_T4yRdTE');
  assert.is(ending?.became, '$bvW938AVkZ2VhV6f7JpGBVfNuumQittAAIB9zemuTwY');
  assert.match(ending?.resolution?.explanation.join('\n') ?? '', '100 before 75');
  assert.is(told.state?.endings.filter(({ resolution }) => resolution !== null).length, 1);
  await engine.close();
});

test('an event that a later one replaced is told so, and one in force is current', async () => {
  const { engine, room } = await openRoom('small-v11');
  const topics = [];
  for await (const event of engine.reader.history(room.expected.room_id, 'm.room.topic', ''))
    topics.push(event.pdu.eventId);
  const [first, second] = topics;
  const told = await engine.why(first ?? '');
  assert.is(told.state?.current, false);
  assert.equal(
    told.state?.endings.map(({ kind, became }) => [kind, became]),
    [['replaced', second]],
  );
  const last = await engine.why(topics.at(-1) ?? '');
  assert.is(last.state?.current, true);
  assert.equal(last.state?.endings, []);
  const message =
    room.expected.event_ids.find((id) => engine.reader.event(id).pdu.stateKey === undefined) ?? '';
  assert.is((await engine.why(message)).state, null);
  await engine.close();
});

test('what stood before a merge event is told with its resolution, and only the keys that matter to it', async () => {
  const { engine } = await openRoom('reset-v10');
  const told = await engine.why('$RTJ84tpuxSBe0eHsnMCrKKqvu9snRf5pY-xp6AZnuPs');
  assert.is(told.resolution?.algorithm, 'v2');
  assert.is(told.resolution?.heads.length, 2);
  assert.ok((told.resolution?.conflicts ?? 0) >= (told.resolution?.keys.length ?? 0));
  assert.ok(told.resolution?.keys.some(({ type }) => type === 'm.room.join_rules'));
  await engine.close();
});

test('signatures are verified again when keys are given, and said not to be when none are', async () => {
  const { engine, room } = await openRoom('old-v1');
  const id = room.expected.event_ids[3] ?? '';
  const without = await engine.why(id);
  assert.is(outcomes(without)['signatures'], undefined);
  assert.match(without.notes.join(), 'Signatures were not verified again');
  const withKeys = await engine.why(id, { keys: room.keys });
  assert.is(outcomes(withKeys)['signatures'], true);
  const withNone = await engine.why(id, { keys: () => undefined });
  assert.is(outcomes(withNone)['signatures'], false);
  assert.match(withNone.checks.find(({ check }) => check === 'signatures')?.reason ?? '', 'unknown-key');
  await engine.close();
});

test('an event whose content was changed counts as redacted, and the content hash says so', async () => {
  const { engine: whole, room } = await openRoom('small-v11');
  await whole.close();
  const engine = await openEngine();
  const lines = room.lines.map((line) => Buffer.from(line).toString('utf8'));
  const changed = lines.findIndex((line) => line.includes('"m.room.message"'));
  for (const [i, line] of lines.slice(0, changed + 1).entries()) {
    await engine.receive(i === changed ? line.replace('"body"', '"boby"') : line, { roomVersion: '11' });
  }
  const told = await engine.why(room.expected.event_ids[changed] ?? '');
  assert.is(outcomes(told)['content_hash'], false);
  assert.is(told.verdict, 'accepted');
  assert.match(told.notes.join(), 'counts as redacted');
  await engine.close();
});

test('an outlier has no state to be asked, and an unknown event is an error', async () => {
  const { engine: whole, room } = await openRoom('small-v11');
  await whole.close();
  const engine = await openEngine();
  const [create, join] = room.lines;
  if (create === undefined || join === undefined) throw new Error('the room is empty');
  await engine.receive(create);
  await engine.receive(join, { asOutlier: true });
  const told = await engine.why(room.expected.event_ids[1] ?? '');
  assert.equal(Object.keys(outcomes(told)), ['format', 'content_hash', 'auth_events', 'auth_by_auth_events']);
  assert.is(told.before, null);
  assert.match(told.notes.join(), 'outlier');
  try {
    await engine.why('$nothing');
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code?: string }).code, 'READER_EVENT_UNKNOWN');
  }
  await engine.close();
});

test.run();
