// `stateroom prove`: a proof that a key holds an event in a state, or holds none.

import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { examples, globalsOf, TARGET_HELP, viewOf, withReader } from '../context.js';
import { fileFault } from '../errors.js';
import { note, printJson } from '../output.js';
import { makeProof } from '../proof-file.js';

interface ProveOptions {
  readonly before?: true;
  readonly out?: string;
}

export function addProve(program: Command): void {
  program
    .command('prove')
    .description(
      'Prints, as JSON, a proof of what a state says of a key: that an event is there, or that none is. Whoever trusts the root can check it with `stateroom verify`, without a store.',
    )
    .argument('<target>', 'event id, room id or root')
    .argument('<type>', 'event type')
    .argument('<state_key>', "state key; '' for an empty one")
    .option('--before', 'the state before the event instead of after it')
    .option('--out <file>', 'write the proof to a file')
    .addHelpText('after', TARGET_HELP)
    .addHelpText(
      'after',
      examples(
        ["prove '$id' m.room.member @alice:example.org > proof.json", 'prove a membership'],
        ['verify proof.json', 'check it, anywhere'],
      ),
    )
    .action(
      async (target: string, type: string, stateKey: string, options: ProveOptions, command: Command) => {
        const globals = globalsOf(command);
        await withReader(globals, async (reader) => {
          const view = await viewOf(reader, target, options);
          const proof = makeProof(reader, view, target, type, stateKey);
          const { out } = options;
          if (out === undefined) return printJson(proof);
          try {
            await writeFile(out, `${JSON.stringify(proof)}\n`);
          } catch (error) {
            throw fileFault(out, error);
          }
          if (globals.json) await printJson(proof);
          else note(`proof of ${proof.present ? 'presence' : 'absence'} written to ${out}`);
        });
      },
    );
}
