// A chat of one room, as small as a client can be: logs in, makes or opens a room, sends, shows what sync
// brings with the newest message in sight, and loads older messages when it is scrolled to its top.

import { ClientEvent, createClient, RoomEvent, SyncState } from 'matrix-js-sdk';

const OLDER_AT_ONCE = 10;

const byId = (id) => document.getElementById(id);
const timeline = byId('timeline');
let client;
let room;

function showFailure(error) {
  byId('status').textContent = `failed: ${error}`;
}

function onSubmit(id, run) {
  byId(id).addEventListener('submit', (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    run(Object.fromEntries(new FormData(form)))
      .then(() => form.reset())
      .catch(showFailure);
  });
}

function show() {
  if (room === undefined) return;
  byId('name').textContent = room.name;
  const isAtEnd = timeline.scrollTop + timeline.clientHeight >= timeline.scrollHeight - 2;
  timeline.replaceChildren(
    ...room
      .getLiveTimeline()
      .getEvents()
      .map((event) => lineOf(event)),
  );
  if (isAtEnd) timeline.scrollTop = timeline.scrollHeight;
}

function lineOf(event) {
  const line = document.createElement('li');
  const sender = document.createElement('b');
  sender.textContent = `${event.sender?.name ?? event.getSender()} `;
  const isMessage = event.getType() === 'm.room.message';
  if (!isMessage) line.className = 'state';
  line.append(sender, isMessage ? event.getContent().body : event.getType());
  return line;
}

/** What was at the top stays in sight. */
async function showOlder() {
  const before = timeline.scrollHeight;
  await client.scrollback(room, OLDER_AT_ONCE);
  show();
  timeline.scrollTop = timeline.scrollHeight - before;
}

function open(opened) {
  room = opened;
  byId('create').hidden = true;
  show();
}

onSubmit('login', async ({ server, user, password }) => {
  const identifier = { type: 'm.id.user', user };
  const login = await createClient({ baseUrl: server }).loginRequest({
    type: 'm.login.password',
    identifier,
    password,
  });
  client = createClient({
    baseUrl: server,
    userId: login.user_id,
    deviceId: login.device_id,
    accessToken: login.access_token,
    timelineSupport: true,
  });
  byId('login').hidden = true;
  client.on(ClientEvent.Sync, (state) => {
    byId('status').textContent = state === SyncState.Syncing ? `logged in as ${login.user_id}` : state.toLowerCase();
    if (room === undefined && state === SyncState.Prepared) {
      const [joined] = client.getRooms();
      if (joined !== undefined) open(joined);
    }
  });
  client.on(RoomEvent.Timeline, show);
  client.on(RoomEvent.Name, show);
  client.on(RoomEvent.LocalEchoUpdated, show);
  await client.startClient({ lazyLoadMembers: true, initialSyncLimit: 12 });
});

onSubmit('create', async ({ name, invite }) => {
  const { room_id: roomId } = await client.createRoom({ name, invite: [invite], preset: 'private_chat' });
  const known = () => client.getRoom(roomId);
  if (known() === null) await new Promise((resolve) => client.once(ClientEvent.Room, resolve));
  open(known());
});

onSubmit('send', async ({ text }) => {
  await client.sendTextMessage(room.roomId, text);
});

timeline.addEventListener('scroll', () => {
  if (timeline.scrollTop === 0 && room !== undefined) showOlder().catch(showFailure);
});
