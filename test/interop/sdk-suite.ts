// A suite of tests with matrix-js-sdk against one server, which must end well and never have failed a request.

import { suite, type Test } from 'uvu';
import * as assert from 'uvu/assert';
import { RunningServer } from '../../tools/peers/running-server.js';
import { SdkUser } from './sdk-user.js';

interface SdkSuite {
  readonly test: Test;
  /** A new user on a first device. The client stops with the test. */
  readonly newUser: (name: string) => Promise<SdkUser>;
  /** The user on another, new device. */
  readonly newDevice: (user: SdkUser) => Promise<SdkUser>;
  readonly server: () => Promise<RunningServer>;
}

export function sdkSuite(name: string): SdkSuite {
  const test = suite(name);
  const users: SdkUser[] = [];
  let started: Promise<RunningServer> | undefined;
  // At the first use, not in `before`, of which uvu would not tell what went wrong.
  const server = (): Promise<RunningServer> => {
    started ??= RunningServer.start();
    return started;
  };
  const adopted = (user: SdkUser): SdkUser => {
    users.push(user);
    return user;
  };

  test.after.each(() => {
    const devices = users.splice(0);
    for (const user of devices) user.stop();
    assert.equal(
      devices.flatMap(({ requests }) => requests.filter((request) => / 5\d\d$/.test(request))),
      [],
    );
  });
  test.after(async () => {
    // A start that failed has failed the tests already.
    const running = await started?.catch(() => undefined);
    if (running === undefined) return;
    assert.is(await running.stop(), 0);
    assert.equal(running.complaints(), []);
  });

  return {
    test,
    newUser: async (username) => adopted(await SdkUser.register((await server()).address, username)),
    newDevice: async (user) => adopted(await user.onAnotherDevice()),
    server,
  };
}
