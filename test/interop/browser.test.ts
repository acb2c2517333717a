// A real browser runs a page made with matrix-js-sdk, as a person would use it: what is typed, clicked, scrolled
// and read is what counts. Screenshots are kept in the folder named by STATEROOM_SCREENSHOTS.

import './sdk-surroundings.js';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import * as assert from 'uvu/assert';
import { chromiumPath } from './chromium.js';
import { servePage } from './page-server.js';
import { sdkSuite } from './sdk-suite.js';
import { PATIENCE_MS, type SdkUser } from './sdk-user.js';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

const { test, newUser, server } = sdkSuite('interop: a browser');
const executablePath = chromiumPath();

if (executablePath === undefined) {
  test('no Chromium is here and none can be installed, so no browser is driven', () => {
    assert.not.ok(process.env['STATEROOM_CHROMIUM']);
  });
} else {
  test('a person logs in, creates a room, sends, sees an answer arrive, and scrolls back to the start', async () => {
    const served = await servePage();
    const browser = await chromium.launch({ executablePath, args: ARGUMENTS });
    try {
      await talk(browser, served.address, await newUser('wanda'), await newUser('node'));
    } finally {
      await browser.close();
      await served.close();
    }
  });
}

async function talk(browser: Browser, address: string, person: SdkUser, friend: SdkUser): Promise<void> {
  await friend.start();
  const first = await openedPage(browser, address);
  await logIn(first, person);
  await first.getByLabel('Room name').fill('The garden');
  await first.getByLabel('Invite').fill(friend.userId);
  await first.getByRole('button', { name: 'Create room' }).click();
  await first.getByRole('heading', { name: 'The garden' }).waitFor();

  const { roomId } = await friend.sees('the invite', () =>
    friend.client.getRooms().find((room) => room.getMyMembership() === 'invite'),
  );
  await friend.client.joinRoom(roomId);
  const room = await friend.seesRoom(roomId, 'join');
  await write(first, 'Hello from a browser');
  const hello = await friend.sees('the message', () =>
    room
      .getLiveTimeline()
      .getEvents()
      .find((event) => event.getContent()['body'] === 'Hello from a browser'),
  );
  assert.is(hello.getSender(), person.userId);

  for (let i = 1; i <= 20; i++) await friend.client.sendTextMessage(roomId, `Answer ${i} of 20`);
  await shown(first, 'Answer 20 of 20');
  await screenshot(first, 'sent-and-received');
  assert.is(await first.getByText('Hello from a browser').count(), 1);

  // A new visit knows the end of the conversation only; its start is fetched by scrolling.
  const second = await openedPage(browser, address);
  await logIn(second, person);
  await shown(second, 'Answer 20 of 20');
  assert.is(await second.getByText('Hello from a browser').count(), 0);
  const timeline = second.locator('#timeline');
  for (let i = 0; i < 10 && (await second.getByText('m.room.create').count()) === 0; i++) {
    const before = await timeline.locator('li').count();
    await timeline.evaluate((element) => element.scrollTo({ top: 1 }));
    await timeline.evaluate((element) => element.scrollTo({ top: 0 }));
    await timeline.locator(`li:nth-child(${before + 1})`).waitFor({ state: 'attached' });
  }
  await second.getByText('Hello from a browser').scrollIntoViewIfNeeded();
  await screenshot(second, 'scrolled-back');
  const lines = await timeline.locator('li:not(.state)').allInnerTexts();
  assert.equal(
    lines.map((line) => line.replace(/^\S+ /, '')),
    ['Hello from a browser', ...Array.from({ length: 20 }, (_, i) => `Answer ${i + 1} of 20`)],
  );
  assert.is(await second.getByText('m.room.create').count(), 1);
}

/** A page in a browser profile of its own. What goes wrong in it fails the test. */
async function openedPage(browser: Browser, address: string): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 760, height: 480 } });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.on('pageerror', (error) => {
    throw error;
  });
  await page.goto(address);
  return page;
}

async function logIn(page: Page, person: SdkUser): Promise<void> {
  await page.getByLabel('Homeserver').fill((await server()).address);
  await page.getByLabel('User').fill(person.userId);
  await page.getByLabel('Password').fill(person.password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText(`logged in as ${person.userId}`).waitFor();
}

async function write(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message').fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
  await shown(page, text);
}

async function shown(page: Page, text: string): Promise<void> {
  await page.locator('#timeline').getByText(text, { exact: false }).first().waitFor({ state: 'attached' });
}

async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env['STATEROOM_SCREENSHOTS'];
  if (folder === undefined || folder === '') return;
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

test.run();
