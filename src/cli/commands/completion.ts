// `stateroom completion`: a script that lets a shell complete commands and options.

import { Argument, type Command } from 'commander';
import { completionScript, SHELLS, type Shell } from '../completion.js';
import { examples } from '../context.js';
import { writeOut } from '../output.js';

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('Prints a completion script for a shell.')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText(
      'after',
      examples(
        ['completion bash > ~/.local/share/bash-completion/completions/stateroom', 'for bash'],
        ['completion zsh > "${fpath[1]}/_stateroom"', 'for zsh'],
        ['completion fish > ~/.config/fish/completions/stateroom.fish', 'for fish'],
      ),
    )
    .action(async (shell: Shell) => {
      await writeOut(completionScript(program, shell));
    });
}
