import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MatrixError } from '../../src/client/errors.js';
import { interactively, type UiaTask } from '../../src/client/uia.js';
import type { JsonObject } from '../../src/event/json.js';
import { Harness, type TestUser } from './harness.js';

const test = suite<{ server: Harness; alice: TestUser; task: UiaTask }>('user-interactive authentication');

test.before.each(async (context) => {
  context.server = await Harness.open();
  context.alice = await context.server.user('alice', 'secret');
  context.task = {
    flows: [['m.login.dummy', 'm.login.password'], ['m.login.registration_token']],
    purpose: 'a deed',
    userId: context.alice.userId,
  };
});
test.after.each(async ({ server }) => server.close());

/** What a client is told: undefined when the deed is done. */
async function ask(
  { home }: Harness,
  task: UiaTask,
  auth?: JsonObject,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const request = {
    params: {},
    query: {},
    body: auth === undefined ? {} : { auth },
    requester: undefined,
    user: { userId: '' as never, deviceId: '', tokenHash: '', isAdmin: false },
    ip: '',
    userAgent: '',
    signal: new AbortController().signal,
  };
  try {
    await interactively(home, request, task);
    return undefined;
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error;
    assert.is(error.status, 401);
    return error.responseBody();
  }
}

const password = (secret: string): JsonObject => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: 'alice' },
  password: secret,
});

test('the stages of a flow are completed in order, and each answer says which are', async ({
  server,
  task,
}) => {
  const first = await ask(server, task);
  assert.equal(first?.flows, [
    { stages: ['m.login.dummy', 'm.login.password'] },
    { stages: ['m.login.registration_token'] },
  ]);
  assert.is(first?.completed, undefined);
  const session = String(first?.session);
  const early = await ask(server, task, { ...password('secret'), session });
  assert.equal([early?.errcode, early?.completed], ['M_UNRECOGNIZED', undefined]);
  const half = await ask(server, task, { type: 'm.login.dummy', session });
  assert.equal([half?.errcode, half?.completed, half?.session], [undefined, ['m.login.dummy'], session]);
  const wrong = await ask(server, task, { ...password('guess'), session });
  assert.equal([wrong?.errcode, wrong?.completed], ['M_FORBIDDEN', ['m.login.dummy']]);
  assert.is(await ask(server, task, { ...password('secret'), session }), undefined);
});

test('a completed stage that is retried is answered with what is completed', async ({ server, task }) => {
  const session = String((await ask(server, task))?.session);
  await ask(server, task, { type: 'm.login.dummy', session });
  const again = await ask(server, task, { type: 'm.login.dummy', session });
  assert.equal([again?.errcode, again?.completed], [undefined, ['m.login.dummy']]);
});

test('a session begun for one deed is none for another, and one made up is none at all', async ({
  server,
  task,
}) => {
  const session = String((await ask(server, task))?.session);
  await ask(server, task, { type: 'm.login.dummy', session });
  const other = await ask(server, { ...task, purpose: 'another deed' }, { ...password('secret'), session });
  assert.is.not(other?.session, session);
  assert.is(other?.completed, undefined);
  const made = await ask(server, task, { type: 'm.login.dummy', session: 'made up' });
  assert.is.not(made?.session, 'made up');
});

test('of two requests that complete a session at once one does the deed', async ({ server, task }) => {
  const session = String((await ask(server, task))?.session);
  await ask(server, task, { type: 'm.login.dummy', session });
  const last = { ...password('secret'), session };
  const answers = await Promise.all([ask(server, task, last), ask(server, task, last)]);
  assert.is(answers.filter((answer) => answer === undefined).length, 1);
});

test('stages that are not offered are not tried', async ({ server, task }) => {
  const only: UiaTask = { ...task, flows: [['m.login.password']] };
  for (const type of ['m.login.dummy', 'm.login.token', 'toString', '']) {
    assert.is((await ask(server, only, { type }))?.errcode, 'M_UNRECOGNIZED', type);
  }
  assert.is((await ask(server, only, {}))?.errcode, undefined, 'without a type it is only asked again');
});

test.run();
