import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  createIdOfRoom,
  fitsBytes,
  localpartOf,
  parseEventId,
  parseHashRoomId,
  parseRoomId,
  parseServerName,
  parseUserId,
  roomIdOfCreate,
  serverOf,
  type EventId,
} from '../../src/event/ids.js';

const test = suite('ids');
const hash = 'Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg';

test('server names are host names, IPv4 and IPv6 literals, with or without a port', () => {
  for (const name of [
    'matrix.org',
    'matrix.org:8888',
    '1.2.3.4:1234',
    '[1234:5678::abcd]',
    '[::1]:8448',
    'localhost',
    'A-b.c',
  ]) {
    assert.is(parseServerName(name), name);
  }
  for (const name of [
    '',
    'a b',
    'a:',
    'a:123456',
    'a:b',
    'a_b',
    '[::1',
    '::1',
    'a/b',
    'a\n',
    'é.org',
    'a'.repeat(256),
    '[g::1]',
  ]) {
    assert.is(parseServerName(name), undefined, name);
  }
});

test('user ids of today and of former days are user ids', () => {
  for (const id of [
    '@a:b',
    '@a.b_c=d-e/f+g:example.org:8448',
    '@A B!:x',
    '@:x',
    '@é\u0007:x',
    '@x:[::1]:80',
    '@a@b:c',
  ]) {
    assert.is(parseUserId(id), id);
  }
});

test('what has no sigil, no server, a NUL or more than 255 bytes is no user id', () => {
  const long = `@${'a'.repeat(253)}:b`;
  assert.is(long.length, 256);
  for (const id of [
    '',
    '@',
    'a:b',
    '@a',
    '@a:',
    '@a:b c',
    '@a\0:b',
    '@a:b:c',
    '!a:b',
    long,
    `@${'é'.repeat(127)}:b`,
  ]) {
    assert.is(parseUserId(id), undefined, id);
  }
  assert.ok(parseUserId(long.slice(0, 1) + long.slice(2)));
});

test('room ids have a domain or are a hash, by version', () => {
  assert.is(parseRoomId('!abc:example.org'), '!abc:example.org');
  assert.is(parseRoomId(`!${hash}`), undefined);
  assert.is(parseHashRoomId(`!${hash}`), `!${hash}`);
  for (const id of ['!abc:example.org', `$${hash}`, `!${hash}A`, `!${hash.slice(1)}`, `!${hash.slice(1)}/`]) {
    assert.is(parseHashRoomId(id), undefined, id);
  }
});

test('event ids follow their format and no other', () => {
  const standard = '$CD66HAED5npg6074c6pDtLKalHjVfYb2q4Q3LZgr/+o';
  assert.is(parseEventId('$a:b.c', 'field'), '$a:b.c');
  assert.is(parseEventId(`$${hash}`, 'field'), undefined);
  assert.is(parseEventId(standard, 'base64'), standard);
  assert.is(parseEventId(standard, 'base64url'), undefined);
  assert.is(parseEventId(`$${hash}`, 'base64url'), `$${hash}`);
  assert.is(parseEventId(`$${hash}`, 'base64'), undefined);
  assert.is(parseEventId(`$${hash}\n`, 'base64url'), undefined);
  assert.is(parseEventId('$a:b.c', 'base64url'), undefined);
});

test('parts of ids are found behind the first colon', () => {
  const user = parseUserId('@x:[::1]:80');
  assert.ok(user);
  assert.is(serverOf(user), '[::1]:80');
  assert.is(localpartOf(user), 'x');
  assert.is(serverOf(`$${hash}` as EventId), undefined);
});

test('the create event and the room of version 12 name each other', () => {
  const create = `$${hash}` as EventId;
  assert.is(roomIdOfCreate(create), `!${hash}`);
  assert.is(createIdOfRoom(roomIdOfCreate(create)), create);
});

test('bytes are counted as UTF-8', () => {
  assert.ok(fitsBytes('é'.repeat(5), 10));
  assert.not(fitsBytes('é'.repeat(5) + 'a', 10));
  assert.ok(fitsBytes('\u{1f600}', 4));
  assert.not(fitsBytes('\u{1f600}', 3));
});

test.run();
