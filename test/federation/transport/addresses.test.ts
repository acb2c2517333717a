import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AddressGuard } from '../../../src/federation/transport/addresses.js';

const test = suite('federation/addresses');

test('public addresses may be connected to', () => {
  const guard = new AddressGuard();
  for (const address of [
    '1.1.1.1',
    '8.8.8.8',
    '172.15.0.1',
    '172.32.0.1',
    '2606:4700::1111',
    '2a00::1',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
  ]) {
    assert.ok(guard.allows(address), address);
  }
});

test('addresses of private, local and special networks may not, however they are written', () => {
  const guard = new AddressGuard();
  for (const address of [
    '0.0.0.0',
    '10.0.0.1',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.255',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '0:0:0:0:0:ffff:7f00:0001',
    '::FFFF:10.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::10.0.0.1',
    '64:ff9b:1::1',
    '2002:7f00:1::',
    '2001:db8::1',
    'fc00::1',
    'fd12::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '',
    'localhost',
    '127.1',
    '2130706433',
    '1.1.1.1/8',
  ]) {
    assert.is(guard.allows(address), false, address);
  }
});

test('networks that are listed may be connected to, and no others', () => {
  const guard = new AddressGuard(['10.1.0.0/16', '127.0.0.1', 'fd00::/8', '::1']);
  for (const address of ['10.1.2.3', '127.0.0.1', 'fd12::1', '::1', '::ffff:10.1.2.3', '8.8.8.8']) {
    assert.ok(guard.allows(address), address);
  }
  for (const address of ['10.2.0.1', '127.0.0.2', 'fc00::1', '::ffff:10.2.0.1']) {
    assert.is(guard.allows(address), false, address);
  }
});

test.run();
