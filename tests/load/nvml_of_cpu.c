/* An NVML whose one GPU is busy as much as a process uses the CPU, and holds what FAKE_NVML_STATE says.
 *
 * State file: "PID HELD_BYTES TOTAL_BYTES FREE_BYTES". Types are those of the real header.
 */
#define NVML_NO_UNVERSIONED_FUNC_DEFS
#include <nvml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int pid;
static unsigned long long held, total, nothing;
static double last_cpu_s;
static unsigned long long last_us;

static int load(void) {
    FILE *file = fopen(getenv("FAKE_NVML_STATE") ? getenv("FAKE_NVML_STATE") : "", "r");
    if (!file) return 0;
    int read = fscanf(file, "%d %llu %llu %llu", &pid, &held, &total, &nothing);
    fclose(file);
    return read == 4;
}
static double cpu_s(void) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    size_t length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[length] = 0;
    long unsigned user = 0, system = 0;
    char *rest = strrchr(line, ')');
    if (rest) sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return (double)(user + system) / sysconf(_SC_CLK_TCK);
}
static unsigned long long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

nvmlReturn_t nvmlInit_v2(void) { return load() ? NVML_SUCCESS : NVML_ERROR_DRIVER_NOT_LOADED; }
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) { *count = 1; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
    *device = (nvmlDevice_t)&pid;
    return index ? NVML_ERROR_INVALID_ARGUMENT : NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length) {
    (void)device;
    snprintf(uuid, length, "GPU-12ab-34");
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    (void)device;
    load();
    memory->total = total;
    memory->free = nothing;
    memory->used = total - nothing;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_t *found) {
    (void)device;
    load();
    memset(found, 0, 2 * sizeof *found);
    *count = 2;
    found[0].pid = pid, found[0].usedGpuMemory = held;
    found[1].pid = 1, found[1].usedGpuMemory = 777;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *found,
                                             unsigned int *count, unsigned long long since_us) {
    (void)device;
    load();
    unsigned long long at_us = now_us();
    double used_s = cpu_s();
    memset(found, 0, 2 * sizeof *found);
    *count = 2;
    found[0].pid = pid, found[0].timeStamp = at_us;
    found[0].smUtil = last_us ? (unsigned)(0.5 + 1e8 * (used_s - last_cpu_s) / (double)(at_us - last_us)) : 0;
    found[1].pid = 1, found[1].timeStamp = since_us, found[1].smUtil = 99;  /* somebody else's, and old */
    last_us = at_us, last_cpu_s = used_s;
    return NVML_SUCCESS;
}
