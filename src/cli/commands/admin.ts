// `stateroom admin`: users, rooms, other servers and health of a running server, over its local socket.

import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import type { PasswordSet, UserSummary } from '../../server/admin/methods.js';
import { askServer } from '../ask-server.js';
import { examples, globalsOf } from '../context.js';
import { UsageError } from '../errors.js';
import { answer, colors, fields, note, printable, sizeText, table, timeText } from '../output.js';
import { addAdminFederation } from './admin-federation.js';

interface PasswordOptions {
  readonly password?: string;
  readonly passwordStdin?: true;
}

export function addAdmin(program: Command): void {
  const admin = program
    .command('admin')
    .description(
      'Manages a running server: its users, rooms and dealings with other servers, over the socket in its data folder.',
    )
    .addHelpText(
      'after',
      examples(
        ['admin user create alice', 'a user with a password made for it, which is printed'],
        ['admin user create alice --admin --password-stdin < file', 'an administrator'],
        ['admin user reset-password alice', 'a new password; all devices are logged out'],
        ['admin user list', 'all users'],
        ['admin rooms', 'all rooms, with their members'],
        ['admin federation', 'other servers that fail, and what waits for them'],
        ['admin federation --retry example.org', 'one of them is tried again now'],
        ["admin resync '!room:example.org'", 'what is missing of a room is asked for again now'],
        ['admin status', 'how the server is'],
      ),
    );
  admin
    .command('status')
    .description('Shows how the server is: users, rooms, long polls, memory, whether it can write.')
    .action(async (_options: object, command: Command) => {
      const status = await askServer<Status>(command, 'status');
      await answer(globalsOf(command), status, () => statusText(status));
    });
  admin
    .command('rotate-signing-key')
    .description('Makes a new signing key that signs from now on; the old one stays good for what it signed.')
    .action(async (_options: object, command: Command) => {
      const done = await askServer<{ key_id: string }>(command, 'signing_key.rotate');
      await answer(globalsOf(command), done, () => `${printable(done.key_id)} signs from now on`);
    });
  addAdminFederation(admin);
  const user = admin.command('user').description('Users of the server.');
  addPasswordOptions(user.command('create'))
    .description('Makes a user, also while registration is closed.')
    .argument('<user>', 'the name: alice, or @alice:example.org')
    .option('--admin', 'make an administrator of the user')
    .action(async (name: string, options: PasswordOptions & { admin?: true }, command: Command) => {
      const params = { user_id: name, admin: options.admin === true, ...(await passwordOf(options)) };
      await answerPassword(command, await askServer<PasswordSet>(command, 'user.create', params), 'created');
    });
  addPasswordOptions(user.command('reset-password'))
    .description('Sets a new password and logs all devices of the user out.')
    .argument('<user>', 'the user')
    .option('--keep-devices', 'leave the devices logged in')
    .action(async (name: string, options: PasswordOptions & { keepDevices?: true }, command: Command) => {
      const keep = { keep_devices: options.keepDevices === true };
      const params = { user_id: name, ...keep, ...(await passwordOf(options)) };
      await answerPassword(
        command,
        await askServer<PasswordSet>(command, 'user.reset_password', params),
        'has a new password',
      );
    });
  user
    .command('deactivate')
    .description(
      'Takes a user out of all rooms and off all devices, for good: the name is never given out again.',
    )
    .argument('<user>', 'the user')
    .option('--erase', "take the user's account data away too")
    .action(async (name: string, options: { erase?: true }, command: Command) => {
      const params = { user_id: name, erase: options.erase === true };
      const done = await askServer<{ user_id: string }>(command, 'user.deactivate', params);
      await answer(globalsOf(command), done, () => `${printable(done.user_id)} is deactivated`);
    });
  user
    .command('make-admin')
    .description('Makes a user an administrator, or no longer one.')
    .argument('<user>', 'the user')
    .option('--revoke', 'take it back')
    .action(async (name: string, options: { revoke?: true }, command: Command) => {
      const params = { user_id: name, admin: options.revoke !== true };
      const done = await askServer<{ user_id: string; admin: boolean }>(command, 'user.make_admin', params);
      await answer(
        globalsOf(command),
        done,
        () => `${printable(done.user_id)} is ${done.admin ? 'an' : 'no longer an'} administrator`,
      );
    });
  user
    .command('list')
    .description('Lists all users, sorted by id.')
    .action(async (_options: object, command: Command) => {
      const users = await askServer<UserSummary[]>(command, 'user.list');
      await answer(globalsOf(command), users, () => usersText(users));
    });
}

function addPasswordOptions(command: Command): Command {
  return command
    .option('--password-stdin', 'the password is the first line of stdin')
    .option(
      '--password <password>',
      'the password; others on this machine may see it while the command runs',
    );
}

/** The password that was given; nothing where the server is to make one. */
async function passwordOf(options: PasswordOptions): Promise<{ readonly password?: string }> {
  if (options.password !== undefined && options.passwordStdin === true) {
    throw new UsageError('either --password or --password-stdin');
  }
  if (options.passwordStdin !== true)
    return options.password === undefined ? {} : { password: options.password };
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    if (line !== '') return { password: line };
    break;
  }
  throw new UsageError('stdin holds no password');
}

async function answerPassword(command: Command, done: PasswordSet, what: string): Promise<void> {
  const { password } = done;
  await answer(globalsOf(command), done, () =>
    [
      `${printable(done.user_id)} ${what}`,
      ...(password === undefined ? [] : [`password  ${colors.bold(password)}`]),
    ].join('\n'),
  );
  if (password !== undefined) note('The password is shown this once.');
}

interface Status {
  readonly server_name: string;
  readonly public_base_url: string;
  readonly version: string;
  readonly pid: number;
  readonly uptime_ms: number;
  readonly registration: string;
  readonly users: number;
  readonly rooms: number;
  readonly seq: number;
  readonly sync_waiters: number;
  readonly unwritten: number;
  readonly memory_bytes: number;
  readonly writes: string;
}

function statusText(status: Status): string {
  return fields([
    ['server', `${status.server_name} (stateroom ${status.version}, process ${status.pid})`],
    ['clients at', status.public_base_url],
    ['up for', `${Math.floor(status.uptime_ms / 1_000)} s`],
    ['registration', status.registration],
    ['users', status.users],
    ['rooms', status.rooms],
    ['events', status.seq],
    ['long polls', status.sync_waiters],
    ['memory', sizeText(status.memory_bytes)],
    ['writes', status.writes],
  ]);
}

function usersText(users: readonly UserSummary[]): string {
  if (users.length === 0) return 'There are no users yet; `stateroom admin user create` makes one.';
  return table(
    [{ title: 'USER' }, { title: 'DEVICES', isNumber: true }, { title: 'CREATED' }, { title: '' }],
    users.map((user) => [
      user.user_id,
      user.devices,
      timeText(user.created_ts),
      [user.admin ? 'admin' : '', user.deactivated ? 'deactivated' : '']
        .filter((word) => word !== '')
        .join(', ') || ' ',
    ]),
  );
}
