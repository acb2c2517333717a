// The commands there are. Only the module of the one that is called is loaded: start-up stays short.
//
// A command is one file in commands/ that exports a function adding it to the program:
//
//   export function addRooms(program: Command): void {
//     program.command('rooms').description('...').action(async (_options, command: Command) => { ... });
//   }

import type { Command } from 'commander';

/** Adds one command to the program. */
export type AddCommand = (program: Command) => void;

export interface CommandEntry {
  readonly name: string;
  /** Heading under which `stateroom --help` shows it. */
  readonly group: string;
  /** What it does, in a few words. */
  readonly summary: string;
  readonly load: () => Promise<AddCommand>;
}

const SERVER = 'The homeserver:';
const IN_AND_OUT = 'Rooms in and out:';
const QUESTIONS = 'Questions:';
const PROOFS = 'Proofs:';
const MAINTENANCE = 'Maintenance:';
const MORE = 'More:';

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'serve',
    group: SERVER,
    summary: 'run the homeserver',
    load: async () => (await import('./commands/serve.js')).addServe,
  },
  {
    name: 'admin',
    group: SERVER,
    summary: 'users, rooms, federation and health of a running server',
    load: async () => (await import('./commands/admin.js')).addAdmin,
  },
  {
    name: 'join',
    group: SERVER,
    summary: 'take a user of a running server into a room',
    load: async () => (await import('./commands/join.js')).addJoin,
  },
  {
    name: 'import',
    group: IN_AND_OUT,
    summary: 'take events from files',
    load: async () => (await import('./commands/import.js')).addImport,
  },
  {
    name: 'export',
    group: IN_AND_OUT,
    summary: "write a room's events, exactly as received",
    load: async () => (await import('./commands/export.js')).addExport,
  },
  {
    name: 'generate',
    group: IN_AND_OUT,
    summary: 'make a signed room to try things on',
    load: async () => (await import('./commands/generate.js')).addGenerate,
  },
  {
    name: 'rooms',
    group: QUESTIONS,
    summary: 'all rooms',
    load: async () => (await import('./commands/rooms.js')).addRooms,
  },
  {
    name: 'room',
    group: QUESTIONS,
    summary: 'one room: members, servers, horizon',
    load: async () => (await import('./commands/room.js')).addRoom,
  },
  {
    name: 'event',
    group: QUESTIONS,
    summary: 'one event and what became of it',
    load: async () => (await import('./commands/event.js')).addEvent,
  },
  {
    name: 'state',
    group: QUESTIONS,
    summary: 'the state at an event, or of a room now',
    load: async () => (await import('./commands/state.js')).addState,
  },
  {
    name: 'members',
    group: QUESTIONS,
    summary: 'the members at an event, or of a room now',
    load: async () => (await import('./commands/members.js')).addMembers,
  },
  {
    name: 'count',
    group: QUESTIONS,
    summary: 'how many state entries',
    load: async () => (await import('./commands/count.js')).addCount,
  },
  {
    name: 'diff',
    group: QUESTIONS,
    summary: 'what differs between two states',
    load: async () => (await import('./commands/diff.js')).addDiff,
  },
  {
    name: 'log',
    group: QUESTIONS,
    summary: 'every event that set a key, or tried to',
    load: async () => (await import('./commands/log.js')).addLog,
  },
  {
    name: 'blame',
    group: QUESTIONS,
    summary: 'where each state entry comes from, and what it beat',
    load: async () => (await import('./commands/blame.js')).addBlame,
  },
  {
    name: 'why',
    group: QUESTIONS,
    summary: 'why an event was accepted, soft failed or rejected',
    load: async () => (await import('./commands/why.js')).addWhy,
  },
  {
    name: 'graph',
    group: QUESTIONS,
    summary: 'draw the events around one, or the newest',
    load: async () => (await import('./commands/graph.js')).addGraph,
  },
  {
    name: 'resolve',
    group: QUESTIONS,
    summary: 'state resolution of files, or of a stored merge',
    load: async () => (await import('./commands/resolve.js')).addResolve,
  },
  {
    name: 'prove',
    group: PROOFS,
    summary: 'a proof that a key is, or is not, in a state',
    load: async () => (await import('./commands/prove.js')).addProve,
  },
  {
    name: 'verify',
    group: PROOFS,
    summary: 'check a proof; needs no store',
    load: async () => (await import('./commands/verify.js')).addVerify,
  },
  {
    name: 'stats',
    group: MAINTENANCE,
    summary: 'how much is stored',
    load: async () => (await import('./commands/stats.js')).addStats,
  },
  {
    name: 'fsck',
    group: MAINTENANCE,
    summary: 'check everything that is stored',
    load: async () => (await import('./commands/fsck.js')).addFsck,
  },
  {
    name: 'rebuild',
    group: MAINTENANCE,
    summary: 'make everything but the events anew',
    load: async () => (await import('./commands/rebuild.js')).addRebuild,
  },
  {
    name: 'gc',
    group: MAINTENANCE,
    summary: 'take out what nothing needs, or a room',
    load: async () => (await import('./commands/gc.js')).addGc,
  },
  {
    name: 'demo',
    group: MORE,
    summary: 'a short guided tour on a room made for it',
    load: async () => (await import('./commands/demo.js')).addDemo,
  },
  {
    name: 'completion',
    group: MORE,
    summary: 'completion script for a shell',
    load: async () => (await import('./commands/completion.js')).addCompletion,
  },
];
