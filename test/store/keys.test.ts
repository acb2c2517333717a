import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isWellFormed } from '../../src/lib/bytes.js';
import {
  chainKey,
  citedKey,
  edgeKey,
  edgeRange,
  type EdgeKind,
  eventKey,
  givenKey,
  idKey,
  type KeyRange,
  KEYSPACES,
  keyspaceRange,
  metaKey,
  nameOfKey,
  nodesKey,
  numberedRange,
  numberOfKey,
  orderOfTimelineKey,
  queueKey,
  queueRange,
  roomKey,
  roomNumberRange,
  rootsKey,
  timelineKey,
  timelineRange,
  traceKey,
  transactionKey,
  versionKey,
  versionRange,
} from '../../src/store/keys.js';

const test = suite('store/keys');

const number = fc.oneof(
  fc.nat({ max: 2 ** 31 - 1 }),
  fc.integer({ min: 0, max: 47 }).chain((bit) => fc.constantFrom(2 ** bit - 1, 2 ** bit)),
);
const order = fc.oneof(fc.integer(), fc.constantFrom(-(2 ** 47), 2 ** 47 - 1, -1, 0, 1));
const roomNumber = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 2 ** 32 - 2 }));
const name = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }).filter(isWellFormed),
);
const kind = fc.constantFrom<EdgeKind>('prev', 'redaction', 'relation');

/** Every kind of key, with a text that says what it is the key of. */
const anyKey: fc.Arbitrary<readonly [string, Buffer]> = fc.oneof(
  number.map((n) => [`event ${n}`, eventKey(n)] as const),
  number.map((n) => [`given ${n}`, givenKey(n)] as const),
  number.map((n) => [`roots ${n}`, rootsKey(n)] as const),
  number.map((n) => [`nodes ${n}`, nodesKey(n)] as const),
  number.map((n) => [`chain ${n}`, chainKey(n)] as const),
  number.map((n) => [`cited ${n}`, citedKey(n)] as const),
  fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .map((key) => [`transaction ${key.join()}`, transactionKey(key)] as const),
  name.map((text) => [JSON.stringify(['id', text]), idKey(text)] as const),
  name.map((text) => [JSON.stringify(['room', text]), roomKey(text)] as const),
  name.map((text) => [JSON.stringify(['trace', text]), traceKey(text)] as const),
  name.map((text) => [JSON.stringify(['meta', text]), metaKey(text)] as const),
  fc.tuple(roomNumber, order).map(([room, at]) => [`timeline ${room} ${at}`, timelineKey(room, at)] as const),
  fc
    .tuple(name, kind, number)
    .map(([id, of, seq]) => [JSON.stringify(['edge', id, of, seq]), edgeKey(id, of, seq)] as const),
  fc
    .tuple(roomNumber, name, name, number)
    .map(
      ([room, type, key, seq]) =>
        [JSON.stringify(['version', room, type, key, seq]), versionKey(room, type, key, seq)] as const,
    ),
  fc
    .tuple(name, number)
    .map(([queue, at]) => [JSON.stringify(['queue', queue, at]), queueKey(queue, at)] as const),
);

function isIn(key: Buffer, { gte, lt }: KeyRange): boolean {
  return key.compare(gte) >= 0 && key.compare(lt) < 0;
}

test('no two keys of different things are the same bytes', () => {
  fc.assert(
    fc.property(anyKey, anyKey, ([what, key], [otherWhat, other]) => {
      assert.is(key.equals(other), what === otherWhat, `${what} and ${otherWhat}`);
    }),
    { numRuns: 2_000 },
  );
});

test('every key lies in the range of its keyspace and of no other', () => {
  fc.assert(
    fc.property(anyKey, ([what, key]) => {
      const holders = Object.keys(KEYSPACES).filter((keyspace) =>
        isIn(key, keyspaceRange(keyspace as keyof typeof KEYSPACES)),
      );
      assert.is(holders.length, 1, what);
    }),
  );
});

test('numbers sort as numbers, and are read back', () => {
  fc.assert(
    fc.property(number, number, (a, b) => {
      for (const keyOf of [eventKey, givenKey, rootsKey, nodesKey, chainKey, citedKey]) {
        assert.is(Math.sign(keyOf(a).compare(keyOf(b))), Math.sign(a - b));
        assert.is(numberOfKey(keyOf(a)), a);
      }
      assert.is(Math.sign(queueKey('q', a).compare(queueKey('q', b))), Math.sign(a - b));
      assert.is(isIn(eventKey(a), numberedRange('events', b)), a >= b);
      assert.is(isIn(eventKey(a), numberedRange('events', 0, b)), a < b);
    }),
  );
});

test('a timeline sorts by order, negative ones first, and holds no other room', () => {
  fc.assert(
    fc.property(roomNumber, roomNumber, order, order, (room, other, a, b) => {
      assert.is(Math.sign(timelineKey(room, a).compare(timelineKey(room, b))), Math.sign(a - b));
      assert.is(orderOfTimelineKey(timelineKey(room, a)), a);
      assert.is(isIn(timelineKey(other, a), timelineRange(room)), room === other);
      assert.is(isIn(timelineKey(other, a), roomNumberRange('timeline', room)), room === other);
      assert.is(isIn(timelineKey(room, a), timelineRange(room, b)), a >= b);
      assert.is(isIn(timelineKey(room, a), timelineRange(room, undefined, b)), a < b);
    }),
  );
});

test('edges of one event and kind hold no other’s, whatever the ids begin with', () => {
  fc.assert(
    fc.property(name, name, kind, kind, number, (id, other, of, otherOf, seq) => {
      assert.is(isIn(edgeKey(other, otherOf, seq), edgeRange(id, of)), id === other && of === otherOf);
      assert.is(isIn(edgeKey(`${id}${other}`, of, seq), edgeRange(id, of)), other === '');
    }),
  );
});

test('versions of a key hold those of no other key, those of a type all of its keys', () => {
  fc.assert(
    fc.property(roomNumber, name, name, name, number, (room, type, key, other, seq) => {
      const version = versionKey(room, type, key, seq);
      assert.ok(isIn(version, versionRange(room, type, key)));
      assert.ok(isIn(version, versionRange(room, type)));
      assert.ok(isIn(version, roomNumberRange('versions', room)));
      assert.is(isIn(version, versionRange(room, type, other)), key === other);
      assert.is(isIn(version, versionRange(room, other)), type === other);
      assert.not(isIn(version, roomNumberRange('versions', room + 1)));
    }),
  );
});

test('queues hold their own rows and names come back from keys', () => {
  fc.assert(
    fc.property(name, name, number, (queue, other, at) => {
      assert.is(isIn(queueKey(other, at), queueRange(queue)), queue === other);
      assert.is(nameOfKey(roomKey(queue)), queue);
    }),
  );
});

test.run();
