import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServerName } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import { matchesGlob, ServerAcl } from '../../../src/federation/inbound/server-acl.js';

const acls = suite('server access lists');

function allows(content: JsonObject, server: string): boolean {
  return new ServerAcl(content).allows(server as ServerName);
}

acls('a list that allows nobody lets nobody in', () => {
  assert.not.ok(allows({}, 'a.test'));
  assert.not.ok(allows({ allow: [], deny: [] }, 'a.test'));
});

acls('who is denied stays out though all are allowed', () => {
  const content = { allow: ['*'], deny: ['*.evil.test', 'evil.test'] };
  assert.ok(allows(content, 'a.test'));
  assert.not.ok(allows(content, 'evil.test'));
  assert.not.ok(allows(content, 'very.evil.test'));
  assert.ok(allows(content, 'notevil.test'));
});

acls('ports and upper case make no difference', () => {
  const content = { allow: ['*'], deny: ['EVIL.test'] };
  assert.not.ok(allows(content, 'evil.TEST:8448'));
  assert.not.ok(allows({ allow: ['*'], deny: ['1.2.3.4'] }, '1.2.3.4:1'));
});

acls('IP literals are denied only where the list says so, and before anything else', () => {
  for (const server of ['1.2.3.4', '1.2.3.4:8448', '[::1]', '[2001:db8::1]:8448']) {
    assert.not.ok(allows({ allow: ['*'], allow_ip_literals: false }, server), server);
    assert.ok(allows({ allow: ['*'], allow_ip_literals: true }, server), server);
    assert.ok(allows({ allow: ['*'], allow_ip_literals: 'false' }, server), 'what is no boolean is true');
  }
  assert.ok(allows({ allow: ['*'], allow_ip_literals: false }, '1.2.3.4.test'));
});

acls('what has the wrong type counts as not there', () => {
  assert.ok(allows({ allow: ['*', 7, null], deny: 'a.test' }, 'a.test'));
  assert.not.ok(allows({ allow: { 0: '*' } }, 'a.test'));
});

acls('a pattern stands for the whole name; ? is one character, * any number', () => {
  assert.ok(matchesGlob('a?c', 'abc'));
  assert.not.ok(matchesGlob('a?c', 'ac'));
  assert.ok(matchesGlob('*', ''));
  assert.ok(matchesGlob('a*b*c', 'a--b--b-c'));
  assert.not.ok(matchesGlob('a*b', 'a-b-'));
  assert.not.ok(matchesGlob('a.c', 'abc'), 'a dot is a dot');
  assert.ok(matchesGlob('***a', 'a'));
});

acls('a pattern made to take long is answered like any other', () => {
  const pattern = `${'*a'.repeat(5_000)}b`;
  assert.not.ok(matchesGlob(pattern, 'a'.repeat(255)));
});

acls.run();
