import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId, RoomId } from '../../src/event/ids.js';
import { StateroomError } from '../../src/lib/errors.js';
import {
  decodeChain,
  decodeEvent,
  decodeGiven,
  decodeNumber,
  decodeRoom,
  decodeRoots,
  decodeValue,
  encodeChain,
  encodeEvent,
  encodeGiven,
  encodeNumber,
  encodeRoom,
  encodeRoots,
  encodeValue,
  type EventRow,
  type RoomRow,
  type RootsRow,
} from '../../src/store/records.js';
import { recordHeader, roomOfHeader } from '../../src/store/node-records.js';
import type { RootRef } from '../../src/tree/types.js';

const test = suite('store/records');

const number = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(2 ** 32, 2 ** 47));
const text = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'toString', ''));
const bytes = fc.uint8Array({ maxLength: 200 });
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });

const root: fc.Arbitrary<RootRef> = fc.record({
  hash,
  record: number,
  index: fc.nat({ max: 199 }),
  count: number,
  joined: number,
});

const eventRow: fc.Arbitrary<EventRow> = fc.record(
  {
    roomId: text.map((id) => `!${id}` as RoomId),
    roomVersion: fc.constantFrom('1', '10', '12'),
    eventId: text.map((id) => `$${id}` as EventId),
    verdict: fc.constantFrom('accepted', 'soft_failed', 'rejected'),
    code: text,
    reason: text,
    isOutlier: fc.boolean(),
    isPartial: fc.boolean(),
    isRedacted: fc.boolean(),
    hasGivenState: fc.boolean(),
    receivedFrom: text,
    receivedAt: number,
    bytes,
    rewrites: fc.constant(true as const),
    outlierSeq: number,
    timelineOrder: number.map((order) => -1 - order),
    revisions: fc.array(
      fc.record({
        verdict: fc.constantFrom('accepted', 'soft_failed', 'rejected'),
        code: text,
        reason: text,
        revisedAt: number,
      }),
    ),
    transaction: fc.record({ deviceId: text, txnId: text, key: bytes }),
  },
  {
    requiredKeys: [
      'roomId',
      'roomVersion',
      'eventId',
      'verdict',
      'code',
      'reason',
      'isOutlier',
      'isPartial',
      'isRedacted',
      'hasGivenState',
      'receivedFrom',
      'receivedAt',
      'bytes',
    ],
  },
);

const traceId = fc.option(text, { nil: undefined });

const rootsRow: fc.Arbitrary<RootsRow> = fc
  .record({
    after: root,
    before: root,
    isSame: fc.boolean(),
    traceId,
    current: fc.option(root, { nil: undefined }),
    room: fc.option(root, { nil: undefined }),
  })
  .map(({ isSame, ...row }) => (isSame ? { ...row, before: row.after } : row));

const roomRow: fc.Arbitrary<RoomRow> = fc.record({
  roomId: text.map((id) => `!${id}` as RoomId),
  number,
  version: fc.constantFrom('1', '10', '12'),
  createEventId: text.map((id) => `$${id}` as EventId),
  forwardExtremities: fc.array(text.map((id) => `$${id}` as EventId)),
  root,
  traceId,
  depth: number,
  events: number,
  stateEvents: number,
  rejected: number,
  softFailed: number,
  stateResets: number,
  isPartial: fc.boolean(),
  backwardExtremities: fc.array(text.map((id) => `$${id}` as EventId)),
  timelineFirst: number.map((order) => -order),
});

/** Byte strings come back as Buffers: the same bytes, another class. */
function plain<Row>(row: Row): unknown {
  return JSON.parse(
    JSON.stringify(row, (_, value: unknown) =>
      value instanceof Uint8Array
        ? `bytes ${Buffer.from(value).toString('hex')}`
        : isBufferJson(value)
          ? `bytes ${Buffer.from(value.data).toString('hex')}`
          : value,
    ),
  );
}

function isBufferJson(value: unknown): value is { data: number[] } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    value.type === 'Buffer' &&
    'data' in value
  );
}

test('every row is read back as it was written', () => {
  fc.assert(
    fc.property(eventRow, rootsRow, roomRow, (event, roots, room) => {
      assert.equal(plain(decodeEvent(encodeEvent(event))), plain(event));
      assert.equal(plain(decodeRoots(encodeRoots(roots))), plain(roots));
      assert.equal(plain(decodeRoom(encodeRoom(room))), plain(room));
    }),
  );
});

test('numbers, chains, given states and headers are read back as they were written', () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 }), fc.array(number), fc.array(number), (value, a, b) => {
      assert.is(decodeNumber(encodeNumber(value)), value);
      assert.equal(decodeChain(encodeChain({ authSeqs: a, citedBefore: b })), {
        authSeqs: a,
        citedBefore: b,
      });
      assert.equal(decodeGiven(encodeGiven(a)), a);
      assert.is(roomOfHeader(recordHeader(value)), value);
    }),
  );
  assert.is(decodeNumber(encodeNumber(2 ** 48 - 1)), 2 ** 48 - 1);
});

test('a written row is its own bytes, which the next row does not change', () => {
  const first = encodeValue({ row: 'first' });
  const copy = Buffer.from(first);
  for (let i = 0; i < 1_000; i++) encodeValue({ row: `another ${i}` });
  assert.ok(first.equals(copy));
  assert.equal(decodeValue(first, 'row'), { row: 'first' });
});

test('bytes that are no row are refused by name, whatever they are', () => {
  const refused = (decode: () => unknown): void => {
    try {
      decode();
    } catch (error) {
      assert.instance(error, StateroomError);
      assert.is((error as StateroomError).code, 'STORE_CORRUPT');
    }
  };
  fc.assert(
    fc.property(bytes, (noise) => {
      for (const decode of [decodeEvent, decodeRoots, decodeRoom, decodeChain, decodeGiven, decodeNumber]) {
        refused(() => decode(noise));
      }
    }),
    { numRuns: 500 },
  );
  for (let length = 0; length < 20; length++) {
    for (const decode of [decodeEvent, decodeRoots, decodeRoom]) {
      refused(() => decode(encodeValue(new Array(length).fill(0))));
      refused(() => decode(encodeValue(Array.from({ length }, () => [0]))));
    }
  }
  for (const decode of [decodeEvent, decodeRoots, decodeRoom, decodeChain, decodeGiven, decodeNumber]) {
    assert.throws(
      () => decode(encodeValue({ some: 'object' })),
      (error: StateroomError) => error.code === 'STORE_CORRUPT',
    );
  }
});

test.run();
