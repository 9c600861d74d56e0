/* A disk that forgets what was not synced: an LD_PRELOAD library. Knows files and folders, no database.

   Below POWERCUT_ROOT the program reads and writes as ever; beside it, POWERCUT_DISK holds what a power cut
   would leave, by the letter of POSIX:

     inodes/N     the octets of file N when it was last synced (fsync, fdatasync, sync, syncfs, O_SYNC)
     tree/PATH    hard links to inodes/N: the names as they were when their folder was last synced
     ready/       made when all that was there before is in the two; the program has not begun before

   A file that was synced under a name that was not is gone after the cut; so is a rename whose folder nobody
   synced. The real fsync is not called: nothing here needs it. What the program loses when it is killed is
   what is not in tree/ yet; the harness (powercut.py) puts that in place of POWERCUT_ROOT, with or without
   some of what was not synced, because a disk may also have written that.

   Not followed: writing through shared mappings (the program is aborted, so that nobody believes the test),
   and stdio's own writes (the names are there, the octets are not, until somebody fsyncs the file). */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { most_descriptors = 1 << 16, buckets = 4096, copy_octets = 1 << 16 };

/* A file or a folder below the root. Never freed: a test's broker does not live long. */
typedef struct node {
  struct node *next; /* in its bucket */
  dev_t device;
  ino_t inode;
  unsigned long number; /* of inodes/N; 0 for a folder */
  int is_gone;          /* it has no name any more, so its inode number may come again for another file */
  off_t from, to;       /* what was written since the last sync; none if from >= to */
  int is_resized;
  int waits; /* a folder that was synced before it had a place on the disk */
  pthread_mutex_t syncing;
} node;

static char root[PATH_MAX], disk[PATH_MAX];
static size_t root_length;
static unsigned long last_number;
static node *table[buckets];
static node *nodes[most_descriptors];
static char writes_through[most_descriptors]; /* opened with O_SYNC or O_DSYNC */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over all of the above */

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)

static void give_up(const char *what, const char *path) {
  fprintf(stderr, "powercut: %s %s: %s\n", what, path, strerror(errno));
  abort();
}

/* Nodes */

static node *find(const struct stat *status) {
  for (node *one = table[status->st_ino % buckets]; one; one = one->next)
    if (one->inode == status->st_ino && one->device == status->st_dev && !one->is_gone) return one;
  return NULL;
}

/* The node of a file, which is made when it is new: then nothing of the file is on the disk yet. */
static node *adopt(const struct stat *status) {
  node *one = find(status);
  if (one) return one;
  one = calloc(1, sizeof *one);
  one->device = status->st_dev;
  one->inode = status->st_ino;
  pthread_mutex_init(&one->syncing, NULL);
  if (!S_ISDIR(status->st_mode)) {
    one->number = ++last_number;
    one->to = status->st_size;
    one->is_resized = 1;
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/inodes/%lu", disk, one->number);
    int file = openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) give_up("cannot create", path);
    close(file);
  }
  one->next = table[one->inode % buckets];
  table[one->inode % buckets] = one;
  return one;
}

/* The descriptor's path if it is below the root, or is the root. */
static const char *place(int descriptor, char path[PATH_MAX]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return NULL;
  path[length] = 0;
  if (strncmp(path, root, root_length) || (path[root_length] && path[root_length] != '/')) return NULL;
  return path;
}

static node *node_of(int descriptor) {
  if (!root_length || descriptor < 0 || descriptor >= most_descriptors) return NULL;
  return __atomic_load_n(&nodes[descriptor], __ATOMIC_ACQUIRE);
}

static int opened(int descriptor, int flags) {
  if (!root_length || descriptor < 0) return descriptor;
  int kept = errno;
  char path[PATH_MAX];
  struct stat status;
  if (place(descriptor, path) && !fstat(descriptor, &status)
      && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))) {
    if (descriptor >= most_descriptors) give_up("too many descriptors for", path);
    pthread_mutex_lock(&lock);
    node *one = adopt(&status);
    if (flags & O_TRUNC) {
      one->from = 0;
      one->is_resized = 1;
    }
    writes_through[descriptor] = (flags & (O_SYNC | O_DSYNC)) != 0;
    __atomic_store_n(&nodes[descriptor], one, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&lock);
  }
  errno = kept;
  return descriptor;
}

/* Syncing */

static void copy(int source, int target, off_t from, off_t to) {
  char octets[copy_octets];
  while (from < to) {
    size_t wanted = to - from < copy_octets ? (size_t)(to - from) : copy_octets;
    ssize_t count = pread(source, octets, wanted, from);
    if (count <= 0) return; /* cut shorter meanwhile */
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real) real = dlsym(RTLD_NEXT, "pwrite");
    if (real(target, octets, count, from) != count) give_up("cannot write in", disk);
    from += count;
  }
}

/* Brings what was written since the last sync to the disk. The descriptor may be open for writing only. */
static void sync_file(node *one, int descriptor) {
  pthread_mutex_lock(&one->syncing);
  pthread_mutex_lock(&lock);
  off_t from = one->from, to = one->to;
  int is_resized = one->is_resized;
  one->from = LONG_MAX;
  one->to = 0;
  one->is_resized = 0;
  pthread_mutex_unlock(&lock);
  if (from < to || is_resized) {
    char path[PATH_MAX + 64], link[64];
    snprintf(path, sizeof path, "%s/inodes/%lu", disk, one->number);
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    int source = openat(AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
    int target = openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    struct stat status;
    if (source < 0 || target < 0 || fstat(source, &status)) give_up("cannot sync to", path);
    static int (*resize)(int, off_t);
    if (!resize) resize = dlsym(RTLD_NEXT, "ftruncate");
    copy(source, target, from, to < status.st_size ? to : status.st_size);
    if (is_resized && resize(target, status.st_size)) give_up("cannot resize", path);
    close(source);
    close(target);
  }
  pthread_mutex_unlock(&one->syncing);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *level) {
  (void)status, (void)kind, (void)level;
  return remove(path);
}

/* Makes the names in the disk's tree those of the folder: new ones first, then those that went. Locked. */
static void sync_folder(const char *folder) {
  char on_disk[PATH_MAX * 2], name[PATH_MAX * 2 + 300], twin[PATH_MAX * 2 + 300], inode[PATH_MAX + 64];
  static unsigned long names;
  snprintf(on_disk, sizeof on_disk, "%s/tree%s", disk, folder + root_length);
  struct stat status, there;
  if (stat(on_disk, &there)) { /* the folder itself is not on the disk yet: its names have no place */
    if (!stat(folder, &status)) adopt(&status)->waits = 1;
    return;
  }
  DIR *entries = opendir(folder);
  struct dirent *entry;
  while (entries && (entry = readdir(entries))) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
    snprintf(twin, sizeof twin, "%s/%s", on_disk, entry->d_name);
    if (lstat(name, &status)) continue;
    if (S_ISDIR(status.st_mode)) {
      if (!lstat(twin, &there)) continue;
      if (mkdir(twin, 0700)) give_up("cannot make", twin);
      if (adopt(&status)->waits) sync_folder(name);
      continue;
    }
    if (!S_ISREG(status.st_mode)) continue;
    snprintf(inode, sizeof inode, "%s/inodes/%lu", disk, adopt(&status)->number);
    if (stat(inode, &status)) give_up("no such file:", inode);
    if (!lstat(twin, &there) && there.st_ino == status.st_ino) continue;
    /* Atomic, as a rename is; and by a name of its own, because the old one may lead elsewhere. */
    char passing[PATH_MAX + 64];
    snprintf(passing, sizeof passing, "%s/passing-%lu", disk, ++names);
    static int (*move)(const char *, const char *);
    if (!move) move = dlsym(RTLD_NEXT, "rename");
    if (link(inode, passing) || move(passing, twin)) give_up("cannot name", twin);
  }
  if (entries) closedir(entries);
  entries = opendir(on_disk);
  while (entries && (entry = readdir(entries))) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
    snprintf(twin, sizeof twin, "%s/%s", on_disk, entry->d_name);
    if (lstat(name, &status)) nftw(twin, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
  }
  if (entries) closedir(entries);
}

static int sync_all_entry(const char *path, const struct stat *status, int kind, struct FTW *level) {
  (void)level;
  if (kind != FTW_D && kind != FTW_F) return 0;
  int file = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  pthread_mutex_lock(&lock);
  node *one = adopt(status);
  if (kind == FTW_D) sync_folder(path);
  pthread_mutex_unlock(&lock);
  if (kind == FTW_D) return close(file);
  sync_file(one, file);
  close(file);
  return 0;
}

static void sync_all(void) { nftw(root, sync_all_entry, 64, FTW_PHYS); }

static int sync_descriptor(int descriptor) {
  char path[PATH_MAX];
  struct stat status;
  if (!root_length || !place(descriptor, path) || fstat(descriptor, &status)) return 0;
  if (S_ISDIR(status.st_mode)) {
    pthread_mutex_lock(&lock);
    sync_folder(path);
    pthread_mutex_unlock(&lock);
  } else {
    pthread_mutex_lock(&lock);
    node *one = node_of(descriptor);
    if (!one) { /* of a stream: all of it, each time */
      one = adopt(&status);
      one->from = 0;
      one->to = status.st_size;
      one->is_resized = 1;
    }
    pthread_mutex_unlock(&lock);
    sync_file(one, descriptor);
  }
  return 1;
}

/* Notes what changed. */

static void wrote(int descriptor, off_t from, ssize_t count) {
  node *one = node_of(descriptor);
  if (!one || count <= 0) return;
  int kept = errno;
  pthread_mutex_lock(&lock);
  if (from < one->from) one->from = from;
  if (from + count > one->to) one->to = from + count;
  pthread_mutex_unlock(&lock);
  if (writes_through[descriptor]) sync_file(one, descriptor);
  errno = kept;
}

static void wrote_here(int descriptor, ssize_t count) {
  if (node_of(descriptor) && count > 0) wrote(descriptor, lseek(descriptor, 0, SEEK_CUR) - count, count);
}

static void resized(int descriptor, off_t size) {
  node *one = node_of(descriptor);
  if (!one) return;
  pthread_mutex_lock(&lock);
  one->is_resized = 1;
  if (size < one->from) one->from = size; /* what is written there later is new */
  pthread_mutex_unlock(&lock);
}

/* A name is about to go: marks the node when it was the last, and returns it, for the case that it stays. */
static node *losing(int folder, const char *path) {
  struct stat status;
  if (!root_length || fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW)) return NULL;
  if (S_ISDIR(status.st_mode) || status.st_nlink > 1) return NULL;
  pthread_mutex_lock(&lock);
  node *one = find(&status);
  if (one) one->is_gone = 1;
  pthread_mutex_unlock(&lock);
  return one;
}

static int lost(node *one, int result) {
  if (one && result) one->is_gone = 0;
  return result;
}

__attribute__((constructor)) static void begin(void) {
  const char *wanted = getenv("POWERCUT_ROOT"), *beside = getenv("POWERCUT_DISK");
  if (!wanted || !beside || !realpath(wanted, root)) return;
  char path[PATH_MAX + 64];
  snprintf(disk, sizeof disk, "%s", beside);
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", disk, i ? "tree" : "inodes");
    if (mkdir(path, 0700)) give_up("needs a new, empty folder:", path);
  }
  root_length = strlen(root);
  sync_all(); /* what is there now was there for long */
  snprintf(path, sizeof path, "%s/ready", disk);
  if (mkdir(path, 0700)) give_up("cannot make", path);
}

/* The calls */

#define FLAGS_AND_MODE \
  mode_t mode = 0; \
  if (flags & (O_CREAT | __O_TMPFILE)) { \
    va_list rest; \
    va_start(rest, flags); \
    mode = va_arg(rest, mode_t); \
    va_end(rest); \
  }

int open(const char *path, int flags, ...) {
  FLAGS_AND_MODE
  REAL(open);
  return opened(real(path, flags, mode), flags);
}
int open64(const char *path, int flags, ...) {
  FLAGS_AND_MODE
  REAL(open64);
  return opened(real(path, flags, mode), flags);
}
/* The library's own calls come here too, by way of openat: they are outside the root, or read. */
int openat(int folder, const char *path, int flags, ...) {
  FLAGS_AND_MODE
  REAL(openat);
  return opened(real(folder, path, flags, mode), flags);
}
int openat64(int folder, const char *path, int flags, ...) {
  FLAGS_AND_MODE
  REAL(openat64);
  return opened(real(folder, path, flags, mode), flags);
}
int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }
int __openat_2(int folder, const char *path, int flags) { return openat(folder, path, flags); }
int __openat64_2(int folder, const char *path, int flags) { return openat64(folder, path, flags); }
int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open64(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int descriptor) {
  REAL(close);
  if (node_of(descriptor)) __atomic_store_n(&nodes[descriptor], NULL, __ATOMIC_RELEASE);
  return real(descriptor);
}

static int doubled(int from, int to) {
  if (root_length && from >= 0 && to >= 0 && from < most_descriptors && to < most_descriptors) {
    writes_through[to] = writes_through[from];
    __atomic_store_n(&nodes[to], nodes[from], __ATOMIC_RELEASE);
  }
  return to;
}
int dup(int descriptor) {
  REAL(dup);
  return doubled(descriptor, real(descriptor));
}
int dup2(int descriptor, int target) {
  REAL(dup2);
  return doubled(descriptor, real(descriptor, target));
}
int dup3(int descriptor, int target, int flags) {
  REAL(dup3);
  return doubled(descriptor, real(descriptor, target, flags));
}

ssize_t write(int descriptor, const void *octets, size_t count) {
  REAL(write);
  ssize_t written = real(descriptor, octets, count);
  wrote_here(descriptor, written);
  return written;
}
ssize_t writev(int descriptor, const struct iovec *parts, int count) {
  REAL(writev);
  ssize_t written = real(descriptor, parts, count);
  wrote_here(descriptor, written);
  return written;
}
#define AT_OFFSET(name, first, second) \
  ssize_t name(int descriptor, first, second, off_t offset) { \
    REAL(name); \
    ssize_t written = real(descriptor, data, count, offset); \
    wrote(descriptor, offset, written); \
    return written; \
  }
AT_OFFSET(pwrite, const void *data, size_t count)
AT_OFFSET(pwrite64, const void *data, size_t count)
AT_OFFSET(pwritev, const struct iovec *data, int count)
AT_OFFSET(pwritev64, const struct iovec *data, int count)

/* Rare ways to write: the whole file counts as changed. */
static ssize_t changed(int descriptor, ssize_t result) {
  struct stat status;
  if (node_of(descriptor) && result > 0 && !fstat(descriptor, &status)) wrote(descriptor, 0, status.st_size);
  return result;
}
ssize_t pwritev2(int descriptor, const struct iovec *parts, int count, off_t offset, int flags) {
  REAL(pwritev2);
  return changed(descriptor, real(descriptor, parts, count, offset, flags));
}
ssize_t pwritev64v2(int descriptor, const struct iovec *parts, int count, off_t offset, int flags) {
  static __typeof__(pwritev2) *real;
  if (!real) real = dlsym(RTLD_NEXT, "pwritev64v2");
  return changed(descriptor, real(descriptor, parts, count, offset, flags));
}
ssize_t sendfile(int target, int source, off_t *offset, size_t count) {
  REAL(sendfile);
  return changed(target, real(target, source, offset, count));
}
ssize_t copy_file_range(int source, off_t *from, int target, off_t *to, size_t count, unsigned flags) {
  REAL(copy_file_range);
  return changed(target, real(source, from, target, to, count, flags));
}

int ftruncate(int descriptor, off_t size) {
  REAL(ftruncate);
  int result = real(descriptor, size);
  if (!result) resized(descriptor, size);
  return result;
}
int ftruncate64(int descriptor, off_t size) { return ftruncate(descriptor, size); }

static int allocated(int descriptor, int result, int mode, off_t offset, off_t length) {
  if (!result && node_of(descriptor)) {
    resized(descriptor, LONG_MAX);
    if (mode & ~FALLOC_FL_KEEP_SIZE) wrote(descriptor, offset, length); /* holes and zeros */
  }
  return result;
}
int fallocate(int descriptor, int mode, off_t offset, off_t length) {
  REAL(fallocate);
  return allocated(descriptor, real(descriptor, mode, offset, length), mode, offset, length);
}
int fallocate64(int descriptor, int mode, off_t offset, off_t length) {
  return fallocate(descriptor, mode, offset, length);
}
int posix_fallocate(int descriptor, off_t offset, off_t length) {
  REAL(posix_fallocate);
  return allocated(descriptor, real(descriptor, offset, length), 0, offset, length);
}
int posix_fallocate64(int descriptor, off_t offset, off_t length) {
  return posix_fallocate(descriptor, offset, length);
}

int fsync(int descriptor) {
  REAL(fsync);
  return sync_descriptor(descriptor) ? 0 : real(descriptor);
}
int fdatasync(int descriptor) {
  REAL(fdatasync);
  return sync_descriptor(descriptor) ? 0 : real(descriptor);
}
int syncfs(int descriptor) {
  REAL(syncfs);
  char path[PATH_MAX];
  if (!root_length || !place(descriptor, path)) return real(descriptor);
  sync_all();
  return 0;
}
void sync(void) {
  REAL(sync);
  if (root_length) sync_all();
  else real();
}
/* No promise to be there after a cut, says its manual: it forces neither sizes nor the disk's own cache. */
int sync_file_range(int descriptor, off_t offset, off_t count, unsigned flags) {
  REAL(sync_file_range);
  return node_of(descriptor) ? 0 : real(descriptor, offset, count, flags);
}

int unlink(const char *path) {
  REAL(unlink);
  node *one = losing(AT_FDCWD, path);
  return lost(one, real(path));
}
int unlinkat(int folder, const char *path, int flags) {
  REAL(unlinkat);
  node *one = losing(folder, path);
  return lost(one, real(folder, path, flags));
}
int rename(const char *from, const char *to) {
  REAL(rename);
  node *one = losing(AT_FDCWD, to);
  return lost(one, real(from, to));
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
  REAL(renameat);
  node *one = losing(to_folder, to);
  return lost(one, real(from_folder, from, to_folder, to));
}
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
  REAL(renameat2);
  node *one = flags & RENAME_EXCHANGE ? NULL : losing(to_folder, to);
  return lost(one, real(from_folder, from, to_folder, to, flags));
}

static void refuse_mapping(int protection, int flags, int descriptor) {
  if ((protection & PROT_WRITE) && (flags & MAP_SHARED) && !(flags & MAP_ANONYMOUS) && node_of(descriptor)) {
    errno = ENOTSUP;
    give_up("cannot follow a shared mapping of a file below", root);
  }
}
void *mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
  REAL(mmap);
  refuse_mapping(protection, flags, descriptor);
  return real(address, length, protection, flags, descriptor, offset);
}
void *mmap64(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
  REAL(mmap64);
  refuse_mapping(protection, flags, descriptor);
  return real(address, length, protection, flags, descriptor, offset);
}
