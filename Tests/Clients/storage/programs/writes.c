/* Writes in a folder as a database does, syncs some of it, says so, and waits to be killed: writes FOLDER.
   What a power cut must leave is what its names say. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int folder;

static int open_for_writing(const char *name) {
  int file = openat(folder, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) exit(1);
  return file;
}

static void put(int file, const char *text) {
  if (write(file, text, strlen(text)) != (ssize_t)strlen(text)) exit(1);
}

int main(int count, char **arguments) {
  if (count != 2 || (folder = open(arguments[1], O_RDONLY | O_DIRECTORY)) < 0) return 1;

  int kept = open_for_writing("kept, then half");
  put(kept, "first ");
  fdatasync(kept);
  fsync(folder);
  put(kept, "second");

  put(open_for_writing("named, not written"), "nothing of it");
  fsync(folder);

  /* As a log is used again: allocated, written over, synced up to a point. */
  int recycled = openat(folder, "recycled", O_RDWR);
  if (recycled < 0) return 1;
  fallocate(recycled, FALLOC_FL_KEEP_SIZE, 0, 1 << 16);
  if (pwrite(recycled, "NEW1", 4, 0) != 4) return 1;
  fdatasync(recycled);
  if (pwrite(recycled, "NEW2", 4, 4) != 4) return 1;

  /* A new version under a passing name, renamed: the folder is synced for the one, and not for the other. */
  int current = open_for_writing("current.new");
  put(current, "renamed");
  fsync(current);
  if (renameat(folder, "current.new", folder, "current")) return 1;
  fsync(folder);
  int later = open_for_writing("later.new");
  put(later, "renamed");
  fsync(later);
  if (renameat(folder, "later.new", folder, "later")) return 1;

  int unnamed = open_for_writing("written, not named");
  put(unnamed, "all of it");
  fdatasync(unnamed);

  if (unlinkat(folder, "unlinked", 0)) return 1;

  int cut = openat(folder, "cut short", O_WRONLY);
  if (cut < 0 || ftruncate(cut, 2)) return 1;

  puts("written");
  fflush(stdout);
  for (;;) pause();
}
