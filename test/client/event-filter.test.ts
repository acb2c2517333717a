import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EventFilter, filterOfQuery } from '../../src/client/event-filter.js';

const test = suite('event filters');

const typesOf = (...types: string[]) => new EventFilter({ types });

test('a star stands for any characters, or none', () => {
  for (const [pattern, type, matches] of [
    ['*', '', true],
    ['*', 'm.room.message', true],
    ['m.*', 'm.room.message', true],
    ['m.*', 'm.', true],
    ['m.*', 'm', false],
    ['*message', 'm.room.message', true],
    ['m.*.message', 'm.room.message', true],
    ['m.*.message', 'm.message', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a**b*c', 'abc', true],
    ['a*b*c', 'acb', false],
    ['m.room.message', 'm.room.messages', false],
    ['m.room.messag.', 'm.room.message', false],
    ['', '', true],
    ['', 'x', false],
  ] as const) {
    assert.is(typesOf(pattern).allowsType(type), matches, `${pattern} ${type}`);
  }
});

test('patterns match what the like regular expression matches', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 });
  fc.assert(
    fc.property(text, text, (pattern, type) => {
      const like = new RegExp(`^${pattern.replaceAll('*', '[^]*')}$`);
      assert.is(typesOf(pattern).allowsType(type), like.test(type));
    }),
  );
});

test('what is excluded is excluded, also where it is included', () => {
  const filter = new EventFilter({ types: ['a*'], not_types: ['ab'], rooms: ['!a'], not_rooms: ['!a'] });
  assert.ok(filter.allowsType('ac'));
  assert.not(filter.allowsType('ab'));
  assert.not(filter.allowsRoom('!a'));
  assert.not(filter.isOpen);
  assert.ok(new EventFilter().isOpen);
});

test('contains_url asks for a url that is text', () => {
  const event = (url: unknown) => ({ type: 't', sender: 's', content: { url } as never });
  const filter = new EventFilter({ contains_url: true });
  assert.ok(filter.allows(event('mxc://a/b')));
  assert.not(filter.allows(event({})));
  assert.not(filter.allows({ type: 't', sender: 's', content: Object.create({ url: 'x' }) as never }));
});

test('a filter of the wrong shape is refused', () => {
  for (const text of ['', '{}']) assert.ok(filterOfQuery(text).isOpen);
  for (const text of ['x', '[]', '"a"', '{"types":"a"}', '{"types":[1]}', '{"limit":-1}', '{"limit":1.5}']) {
    assert.throws(
      () => filterOfQuery(text),
      (error: { status?: number }) => error.status === 400,
      text,
    );
  }
  assert.throws(() => filterOfQuery('{"lazy_load_members":"yes"}'), /true or false/);
  assert.throws(() => filterOfQuery('x'.repeat(100_000)), /too long/);
  assert.throws(() => filterOfQuery('['.repeat(60_000)), /no JSON/);
});

test.run();
