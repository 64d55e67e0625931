/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd - the commands of the program, one file each (cmd_*.c), as main() finds them.
 *
 * Threads    Main thread only.
 * Ownership  Nothing is kept.
 * Errors     The return value is the exit code: 0 done, 1 failed, 64 usage, 78 configuration. Each command
 *            prints its own messages: problems to stderr, results to stdout. argv[0] is the command's name.
 */
#ifndef FG_CMD_H
#define FG_CMD_H

enum { CMD_DONE = 0, CMD_FAILED = 1, CMD_USAGE = 64, CMD_CONFIG = 78 };

#define CMD_DEFAULT_CONFIG "/etc/fieldgate/fieldgate.yaml"
#define CMD_DEFAULT_RUNTIME_DIR "/run/fieldgate"
#define CMD_DEFAULT_STATE_DIR "/var/lib/fieldgate"

int cmd_run(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_apply(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_probe(int argc, char **argv);
int cmd_scan(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_poll(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_bundle(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_profiles(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
