import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import { answer, type Answer } from '../../src/reader/answer.js';
import { type Query, readQuery, type StatePlace } from '../../src/reader/query.js';
import { InPlaceRunner } from '../../src/reader/runner.js';
import { MEMBER_TYPE } from '../../src/room/state/key.js';
import { loadRoom } from '../fixtures.js';
import { codeOf, HOSTILE_QUERIES, importRoom, questionsAbout, sortedRows, statesBefore } from './helpers.js';

interface Context {
  engine: Engine;
}

const small = loadRoom('small-v11');
const forks = loadRoom('forks-v10');
const crowd = loadRoom('crowd-v11');
/** As many as make lists of some hundreds. */
const CROWD_EVENTS = 700;
const answers = suite<Context>('answers in place');

answers.before(async (context) => {
  context.engine = await openEngine();
  for (const room of [small, forks]) await importRoom(context.engine, room);
  await importRoom(context.engine, crowd, CROWD_EVENTS);
});
answers.after(({ engine }) => engine.close());

answers(
  'the state before an event is the one that Synapse has, for every event listed',
  async ({ engine }) => {
    for (const room of [small, forks]) {
      for (const [of, expected] of statesBefore(room)) {
        const { rows } = await engine.query({ kind: 'state', of, side: 'before', isSorted: true });
        assert.equal(rows, expected, of);
      }
    }
  },
);

answers(
  'the current state, whole, by type, by key and counted, is the one that Synapse has',
  async ({ engine }) => {
    for (const { expected } of [small, forks]) {
      const of = expected.room_id;
      const wanted = sortedRows(expected.current_state_a);
      const { rows, root } = await engine.query({ kind: 'state', of, isSorted: true });
      assert.equal(rows, wanted);
      const { count } = await engine.query({ kind: 'count', of: root });
      assert.is(count, wanted.length);
      for (const type of new Set(wanted.map(([type]) => type))) {
        const ofType = wanted.filter((row) => row[0] === type);
        assert.equal((await engine.query({ kind: 'state', of: root, type, isSorted: true })).rows, ofType);
        assert.is((await engine.query({ kind: 'count', of: root, type })).count, ofType.length);
      }
      for (const [type, stateKey, eventId] of wanted) {
        assert.is((await engine.query({ kind: 'get', of: root, type, stateKey })).eventId, eventId);
      }
      const missing = await engine.query({ kind: 'get', of: root, type: 'no.such.type', stateKey: '' });
      assert.not.ok('eventId' in missing);
    }
  },
);

answers('members come with the memberships that their events hold', async ({ engine }) => {
  const of = forks.expected.room_id;
  const { rows } = await engine.query({ kind: 'members', of });
  const wanted = forks.expected.current_state_a.filter(([type]) => type === MEMBER_TYPE);
  assert.is(rows.length, wanted.length);
  for (const [userId, membership, eventId] of rows) {
    assert.is(engine.reader.event(eventId).pdu.content['membership'], membership);
    const got = await engine.query({ kind: 'get', of, type: MEMBER_TYPE, stateKey: userId });
    assert.is(got.eventId, eventId);
    assert.is(got.membership, membership);
  }
  const joined = await engine.query({ kind: 'members', of, membership: 'join' });
  assert.equal(
    joined.rows,
    rows.filter(([, membership]) => membership === 'join'),
  );
  assert.is((await engine.query({ kind: 'count', of })).joined, joined.rows.length);
});

answers('a difference applied to the first state gives the second', async ({ engine }) => {
  const { event_ids: ids, room_id: roomId } = forks.expected;
  for (const event of ids.filter((_, line) => line % 29 === 7)) {
    const from = { of: event, side: 'before' as const };
    const { rows } = await engine.query({ kind: 'diff', from, to: { of: roomId } });
    const state = new Map(
      (await engine.query({ kind: 'state', ...from })).rows.map((row) => [
        JSON.stringify(row.slice(0, 2)),
        row,
      ]),
    );
    for (const [type, stateKey, before, after] of rows) {
      const key = JSON.stringify([type, stateKey]);
      assert.is(state.get(key)?.[2] ?? null, before);
      if (after === null) state.delete(key);
      else state.set(key, [type, stateKey, after]);
    }
    assert.equal(sortedRows([...state.values()]), sortedRows(forks.expected.current_state_a));
  }
});

answers('the history of a key holds every event that claimed it, with its verdict', async ({ engine }) => {
  const { room_id: roomId, event_ids: ids } = forks.expected;
  const claims = ids.map((id) => engine.reader.event(id)).filter(({ pdu }) => pdu.type === MEMBER_TYPE);
  const { rows } = await engine.query({ kind: 'history', roomId, type: MEMBER_TYPE });
  assert.equal(
    rows.map(({ eventId, verdict, code }) => [eventId, verdict, code]),
    claims.sort((a, b) => a.seq - b.seq).map(({ pdu, verdict, code }) => [pdu.eventId, verdict, code]),
  );
  const stateKey = rows[0]?.stateKey ?? '';
  const one = await engine.query({ kind: 'history', roomId, type: MEMBER_TYPE, stateKey });
  assert.equal(
    one.rows,
    rows.filter((row) => row.stateKey === stateKey),
  );
  assert.ok(one.rows.length > 0);
});

answers('a root names the state wherever it was seen, as long as it is asked', async ({ engine }) => {
  for (const [of] of [...statesBefore(forks)].slice(0, 40)) {
    const named = await engine.query({ kind: 'state', of, side: 'before' });
    assert.equal((await engine.query({ kind: 'state', of: named.root })).rows, named.rows);
    assert.equal((await engine.query({ kind: 'state', of: named.root.toUpperCase() })).root, named.root);
  }
});

answers("the current root of a room whose heads are many, and which is no event's, is found", async () => {
  const engine = await openEngine();
  const { merges } = forks.expected;
  for (const [line, bytes] of forks.lines.entries()) {
    if (merges.includes(forks.expected.event_ids[line] ?? ('' as never))) break;
    await engine.receive(bytes);
  }
  const room = engine.reader.room(forks.expected.room_id);
  assert.ok(room.forwardExtremities.length > 1, 'the room is cut off before its first merge');
  const { rows, root } = await engine.query({ kind: 'state', of: room.roomId });
  assert.equal((await engine.query({ kind: 'state', of: root })).rows, rows);
  await engine.close();
});

/** All pages of a query, one after the other. */
async function allPages<A extends Answer & { readonly rows: readonly unknown[] }>(
  ask: (after: never) => Promise<A & { readonly next?: unknown }>,
): Promise<{ readonly rows: unknown[]; readonly sizes: number[] }> {
  const rows: unknown[] = [];
  const sizes: number[] = [];
  let after: unknown;
  do {
    const page = await ask(after as never);
    rows.push(...page.rows);
    sizes.push(page.rows.length);
    after = page.next;
  } while (after !== undefined);
  return { rows, sizes };
}

answers('pages put together are the whole list, whatever their size', async ({ engine }) => {
  const { room_id: of, event_ids: ids } = crowd.expected;
  const from = { of: ids[40] ?? '' };
  const to = { of };
  const state = (await engine.query({ kind: 'state', of })).rows;
  const members = (await engine.query({ kind: 'members', of })).rows;
  const joined = (await engine.query({ kind: 'members', of, membership: 'join' })).rows;
  const diff = (await engine.query({ kind: 'diff', from, to })).rows;
  const history = (await engine.query({ kind: 'history', roomId: of, type: MEMBER_TYPE })).rows;
  for (const whole of [state, members, joined, diff, history])
    assert.ok(whole.length > 400, String(whole.length));
  assert.ok(joined.length < members.length);
  for (const limit of [97, 500, state.length - 1, state.length, 10_000]) {
    const page = (after?: StatePlace) => ({ limit, ...(after === undefined ? {} : { after }) });
    const pages = [
      [state, await allPages((after) => engine.query({ kind: 'state', of, ...page(after) }))],
      [
        members,
        await allPages((after?: string) =>
          engine.query({ kind: 'members', of, limit, ...(after === undefined ? {} : { after }) }),
        ),
      ],
      [
        joined,
        await allPages((after?: string) =>
          engine.query({
            kind: 'members',
            of,
            membership: 'join',
            limit,
            ...(after === undefined ? {} : { after }),
          }),
        ),
      ],
      [diff, await allPages((after) => engine.query({ kind: 'diff', from, to, ...page(after) }))],
      [
        history,
        await allPages((after?: number) =>
          engine.query({
            kind: 'history',
            roomId: of,
            type: MEMBER_TYPE,
            limit,
            ...(after === undefined ? {} : { after }),
          }),
        ),
      ],
    ] as const;
    for (const [whole, { rows, sizes }] of pages) {
      assert.equal(rows, whole);
      assert.is(sizes.length, Math.max(1, Math.ceil(whole.length / limit)), 'no page is empty or short');
    }
  }
});

answers('a page resumes after a key that the state does not have', async ({ engine }) => {
  const of = crowd.expected.room_id;
  const { rows } = await engine.query({ kind: 'state', of });
  const after: StatePlace = [MEMBER_TYPE, '@nobody:nowhere.example'];
  const { rows: later } = await engine.query({ kind: 'state', of, after });
  assert.equal(later, rows.slice(rows.length - later.length));
  assert.ok(later.length > 0 && later.length < rows.length);
});

answers('a question without an answer says why by its code', async ({ engine }) => {
  const runner = new InPlaceRunner(engine.reader);
  for (const [code, query] of HOSTILE_QUERIES) {
    assert.is(await codeOf(runner.run(query as Query)), code, JSON.stringify(query));
  }
  const outcomes = await runner.run(HOSTILE_QUERIES.map(([, query]) => query as Query));
  assert.equal(
    outcomes.map((outcome) => (outcome.ok ? 'answered' : outcome.error.code)),
    HOSTILE_QUERIES.map(([code]) => code),
  );
});

answers('one of many queries that has no answer spoils no other', async ({ engine }) => {
  const count: Query = { kind: 'count', of: small.expected.room_id };
  const outcomes = await engine.query([count, { kind: 'count', of: 'nonsense' }, count]);
  assert.equal(
    outcomes.map(({ ok }) => ok),
    [true, false, true],
  );
});

answers(
  'a checked query holds what it means and nothing else, and checking it again changes nothing',
  ({ engine }) => {
    for (const query of questionsAbout(engine, small)) {
      assert.equal(readQuery(query), query);
      const decorated = { ...query, toJSON: () => 'no', extra: Symbol('no') };
      assert.equal(readQuery(decorated), query);
    }
  },
);

answers(
  'a long answer looks at its checkpoint now and then and ends when that throws',
  async ({ engine }) => {
    const of = crowd.expected.room_id;
    const queries: Query[] = [
      { kind: 'state', of },
      { kind: 'members', of, membership: 'ban' },
      { kind: 'diff', from: { of: crowd.expected.event_ids[0] ?? '' }, to: { of } },
      { kind: 'history', roomId: of, type: MEMBER_TYPE },
      { kind: 'count', of: engine.stateAt(crowd.expected.event_ids[CROWD_EVENTS - 1] ?? '', 'before').root },
    ];
    for (const query of queries) {
      let looks = 0;
      const checkpoint = (): void => {
        if (++looks === 4) throw new Error('enough');
      };
      try {
        await answer(engine.reader, query, checkpoint);
        assert.ok(query.kind === 'count', `${query.kind} never looked`);
      } catch (error) {
        assert.is((error as Error).message, 'enough', query.kind);
      }
      assert.ok(looks > 0);
    }
  },
);

answers('a caller that waits no longer, or gave up, hears so', async ({ engine }) => {
  const count: Query = { kind: 'count', of: small.expected.room_id };
  assert.is(await codeOf(engine.query(count, { timeoutMs: 0 })), 'READER_TIMEOUT');
  assert.is(await codeOf(engine.query(count, { signal: AbortSignal.abort() })), 'READER_ABORTED');
  assert.is(await codeOf(engine.query(count, { watermark: 1e9 })), 'READER_BEHIND');
  assert.is((await engine.query(count, { timeoutMs: Number.POSITIVE_INFINITY })).kind, 'count');
});

answers('a store in memory is answered in place, whatever threads were asked for', async () => {
  const engine = await openEngine({ readerThreads: 2 });
  await importRoom(engine, small);
  const { rows } = await engine.query({ kind: 'state', of: small.expected.room_id, isSorted: true });
  assert.equal(rows, sortedRows(small.expected.current_state_a));
  await engine.close();
  assert.is(await codeOf(engine.query({ kind: 'count', of: small.expected.room_id })), 'READER_CLOSED');
});

answers.run();
