// Wrong usage, help, completion: what the command says before it touches a store.

import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeWorkplace } from './run.js';

const test = suite('cli/usage');
const place = makeWorkplace();
test.after(() => place.remove());

test('--help lists the commands with exit code 0; no command at all is wrong usage', () => {
  const help = place.run(['--help']);
  assert.is(help.code, 0);
  for (const name of ['import', 'export', 'rooms', 'state', 'diff', 'prove', 'generate', 'demo']) {
    assert.match(help.stdout, new RegExp(`^  ${name} `, 'm'));
  }
  const nothing = place.run([]);
  assert.is(nothing.code, 2);
  assert.is(nothing.stdout, '');
  assert.match(nothing.stderr, 'Usage: stateroom');
});

test('--help after a command and help before it show its examples', () => {
  for (const args of [
    ['state', '--help'],
    ['help', 'state'],
  ]) {
    const ran = place.run(args);
    assert.is(ran.code, 0);
    assert.match(ran.stdout, 'Examples:');
    assert.match(ran.stdout, '--before');
    assert.match(ran.stdout, '--data');
  }
});

test('--version prints the version', () => {
  const ran = place.run(['--version']);
  assert.is(ran.code, 0);
  assert.match(ran.stdout, /^\d+\.\d+\.\d+\n$/);
});

test('wrong usage gives exit code 2, and the nearest right word where there is one', () => {
  const wrong: ReadonlyArray<readonly [args: string[], says: string | RegExp]> = [
    [['romos'], 'Did you mean rooms?'],
    [['rooms', '--jsn'], 'Did you mean --json?'],
    [['state', '--befor'], 'Did you mean --before?'],
    [['rooms', 'excess'], /too many arguments/],
    [['event'], /missing required argument/],
    [['members', '!r:x', '--membership', 'joind'], /Allowed choices are join/],
    [['import', 'x.jsonl'], /--keys FILE[^\n]+--no-verify/],
    [['import', 'x.jsonl', '--no-verify', '--keys', 'k.json'], 'contradict'],
    [['import', '-', '-', '--no-verify'], 'stdin'],
    [['generate', '--out', 'o', '--keys', 'k', '--members', 'many'], /whole number/],
    [['generate', '--out', 'o', '--keys', 'k', '--members', '0'], 'GENERATE_BAD_OPTION'],
    [['generate', '--members', '3'], /--out/],
    [['completion', 'cmd'], /Allowed choices are bash, zsh, fish/],
    [['state'], 'CLI_USAGE'],
  ];
  for (const [args, says] of wrong) {
    const ran = place.run(args);
    assert.is(ran.code, 2, args.join(' '));
    assert.is(ran.stdout, '', args.join(' '));
    assert.match(ran.stderr, says);
    assert.not.match(ran.stderr, /\n +at /);
  }
  assert.not.ok(existsSync(place.data), 'no store was made');
});

test('files that cannot be read are named, with exit code 3, before a store is made', () => {
  writeFileSync(place.file('keys.json'), '{"a.example": {"ed25519:1": "short"}}');
  writeFileSync(place.file('events.jsonl'), '');
  const faults: ReadonlyArray<readonly [args: string[], says: RegExp]> = [
    [['import', 'none.jsonl', '--no-verify'], /CLI_FILE_UNREADABLE: none\.jsonl: there is no such file/],
    [['import', '.', '--no-verify'], /CLI_FILE_UNREADABLE: \.: is a folder/],
    [['import', 'events.jsonl', '--keys', 'none.json'], /none\.json: there is no such file/],
    [['import', 'events.jsonl', '--keys', 'events.jsonl'], /CLI_KEYS_INVALID/],
    [['import', 'events.jsonl', '--keys', 'keys.json'], /CLI_KEYS_INVALID: [^\n]*ed25519:1 of a\.example/],
    [['verify', 'none.json'], /none\.json: there is no such file/],
    [['state', '--events', 'none.txt'], /STORE_MISSING/],
  ];
  for (const [args, says] of faults) {
    const ran = place.run(args);
    assert.is(ran.code, 3, args.join(' '));
    assert.match(ran.stderr, says);
    assert.is(ran.stderr.trim().split('\n').length, 1, 'one line');
  }
  assert.not.ok(existsSync(place.data));
});

test('completion scripts name every command, and bash takes its own', () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const ran = place.run(['completion', shell]);
    assert.is(ran.code, 0, ran.stderr);
    for (const word of ['import', 'members', 'no-verify', 'membership', 'knock'])
      assert.match(ran.stdout, word);
    if (shell !== 'bash') continue;
    const script = `${ran.stdout}\nCOMP_WORDS=(stateroom members x --membership kn) COMP_CWORD=4; _stateroom; echo "$COMPREPLY"`;
    const completed = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    assert.is(completed.stdout, 'knock\n', completed.stderr);
  }
});

test.run();
