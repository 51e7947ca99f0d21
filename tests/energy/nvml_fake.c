/* An NVML that reads its GPUs from a state file at every call: the tests' stand-in for NVIDIA's driver library.
 *
 * State file, one setting a line, values without spaces:
 *   clock_us 1000000                     the time of this machine; energy follows from power and time
 *   gpu 0 uuid=GPU-… name=H100 power_mw=300000 energy_mj=5000 refresh_us=100000 arch=9 limit_mw=700000
 *         has_energy=1 has_instant=1 mig=MIG-… lost_us=0 pid=0 sm=0
 *   error nvmlDeviceGetFieldValues 15    this function returns this code
 * Without the file there is no driver. In other processes NVML_FAKE_STATE names the file, and NVML_FAKE_REAL_CLOCK=1 takes
 * the machine's clock instead of clock_us.
 */
#define NVML_NO_UNVERSIONED_FUNC_DEFS
#include <nvml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GPUS 8
typedef struct {
    int index, arch, has_energy, has_instant, temperature;
    unsigned pid, sm;
    long long power_mw, module_mw, memory_mw, energy_mj, refresh_us, limit_mw, lost_us;
    char uuid[96], name[96], mig[96];
} Gpu;

static char state_path[4096];
static Gpu gpus[GPUS];
static char migs[GPUS];
static int count;
static long long clock_us;
static char failing[32][64];
static int failing_code[32], failings;

void fake_set_state(const char *path) { snprintf(state_path, sizeof state_path, "%s", path); }

static void setting(Gpu *gpu, const char *key, const char *value) {
    long long number = atoll(value);
    if (!strcmp(key, "uuid")) snprintf(gpu->uuid, sizeof gpu->uuid, "%s", value);
    else if (!strcmp(key, "name")) snprintf(gpu->name, sizeof gpu->name, "%s", value);
    else if (!strcmp(key, "mig")) snprintf(gpu->mig, sizeof gpu->mig, "%s", value);
    else if (!strcmp(key, "power_mw")) gpu->power_mw = number;
    else if (!strcmp(key, "module_mw")) gpu->module_mw = number;
    else if (!strcmp(key, "memory_mw")) gpu->memory_mw = number;
    else if (!strcmp(key, "energy_mj")) gpu->energy_mj = number;
    else if (!strcmp(key, "refresh_us")) gpu->refresh_us = number;
    else if (!strcmp(key, "limit_mw")) gpu->limit_mw = number;
    else if (!strcmp(key, "lost_us")) gpu->lost_us = number;
    else if (!strcmp(key, "arch")) gpu->arch = (int)number;
    else if (!strcmp(key, "temperature")) gpu->temperature = (int)number;
    else if (!strcmp(key, "has_energy")) gpu->has_energy = (int)number;
    else if (!strcmp(key, "has_instant")) gpu->has_instant = (int)number;
    else if (!strcmp(key, "pid")) gpu->pid = (unsigned)number;
    else if (!strcmp(key, "sm")) gpu->sm = (unsigned)number;
}

static nvmlReturn_t load(const char *function) {
    char line[1024];
    const char *path = getenv("NVML_FAKE_STATE"), *real = getenv("NVML_FAKE_REAL_CLOCK");
    if (path && !state_path[0]) fake_set_state(path);
    FILE *file = state_path[0] ? fopen(state_path, "r") : NULL;
    if (!file) return NVML_ERROR_DRIVER_NOT_LOADED;
    count = failings = 0;
    while (fgets(line, sizeof line, file)) {
        char *word = strtok(line, " \n");
        if (!word) continue;
        if (!strcmp(word, "clock_us")) clock_us = atoll(strtok(NULL, " \n"));
        else if (!strcmp(word, "error") && failings < 32) {
            snprintf(failing[failings], sizeof failing[0], "%s", strtok(NULL, " \n"));
            failing_code[failings++] = atoi(strtok(NULL, " \n"));
        } else if (!strcmp(word, "gpu") && count < GPUS) {
            Gpu *gpu = &gpus[count++];
            memset(gpu, 0, sizeof *gpu);
            gpu->has_energy = gpu->has_instant = 1;
            gpu->refresh_us = 1;
            gpu->index = atoi(strtok(NULL, " \n"));
            while ((word = strtok(NULL, " \n"))) {
                char *value = strchr(word, '=');
                if (value) { *value = 0; setting(gpu, word, value + 1); }
            }
        }
    }
    fclose(file);
    if (real) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        clock_us = now.tv_sec * 1000000LL + now.tv_nsec / 1000;
    }
    for (int i = 0; i < failings; i++)
        if (!strcmp(failing[i], function)) return (nvmlReturn_t)failing_code[i];
    return NVML_SUCCESS;
}

/* A handle is the address of a GPU's slot, or of its mark in migs for the MIG instance on it. */
#define ENTER do { nvmlReturn_t code_ = load(__func__); if (code_) return code_; } while (0)
#define GPU_OF(device) \
    if (is_mig(device)) return NVML_ERROR_INVALID_ARGUMENT; \
    Gpu *gpu = (Gpu *)(device); \
    if (gpu->lost_us && clock_us >= gpu->lost_us) return NVML_ERROR_GPU_IS_LOST
static int is_mig(nvmlDevice_t device) { return (char *)device >= migs && (char *)device < migs + GPUS; }
static long long shown_us(Gpu *gpu) { return clock_us / gpu->refresh_us * gpu->refresh_us; }
/* On a Grace-Hopper the counter is that of the module. */
static unsigned long long energy(Gpu *gpu) {
    long long mw = strstr(gpu->name, "GH200") && gpu->module_mw ? gpu->module_mw : gpu->power_mw;
    return gpu->energy_mj + mw * shown_us(gpu) / 1000000;
}

nvmlReturn_t nvmlInit_v2(void) { ENTER; return NVML_SUCCESS; }
nvmlReturn_t nvmlInitWithFlags(unsigned int flags) { (void)flags; ENTER; return NVML_SUCCESS; }
nvmlReturn_t nvmlShutdown(void) { return NVML_SUCCESS; }
const char *nvmlErrorString(nvmlReturn_t code) { return code == NVML_ERROR_GPU_IS_LOST ? "GPU is lost" : "fake error"; }
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *n) { ENTER; *n = count; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
    ENTER;
    if (index >= (unsigned)count) return NVML_ERROR_INVALID_ARGUMENT;
    *device = (nvmlDevice_t)&gpus[index];
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length) {
    ENTER;
    if (is_mig(device)) snprintf(uuid, length, "%s", gpus[(char *)device - migs].mig);
    else { GPU_OF(device); snprintf(uuid, length, "%s", gpu->uuid); }
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length) {
    ENTER; GPU_OF(device);
    snprintf(name, length, "%s", gpu->name);
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t device, nvmlDeviceArchitecture_t *arch) {
    ENTER; GPU_OF(device);
    *arch = gpu->arch;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending) {
    ENTER; GPU_OF(device);
    if (!gpu->mig[0]) return NVML_ERROR_NOT_SUPPORTED;
    *current = *pending = 1;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *n) {
    ENTER; GPU_OF(device);
    *n = 2;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *mig) {
    ENTER; GPU_OF(device);
    if (index) return NVML_ERROR_NOT_FOUND;
    *mig = (nvmlDevice_t)&migs[gpu - gpus];
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *mj) {
    ENTER; GPU_OF(device);
    if (!gpu->has_energy) return NVML_ERROR_NOT_SUPPORTED;
    *mj = energy(gpu);
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *mw) {
    ENTER; GPU_OF(device);
    *mw = (unsigned)gpu->power_mw;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned int *low, unsigned int *high) {
    ENTER; GPU_OF(device);
    *low = 0; *high = (unsigned)gpu->limit_mw;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned int *mw) {
    ENTER; GPU_OF(device);
    *mw = (unsigned)gpu->limit_mw;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensor, unsigned int *celsius) {
    ENTER; GPU_OF(device);
    (void)sensor;
    *celsius = (unsigned)gpu->temperature;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *n, nvmlProcessInfo_t *infos) {
    ENTER; GPU_OF(device);
    unsigned have = gpu->pid ? 1 : 0, room = *n;
    *n = have;
    if (have > room) return NVML_ERROR_INSUFFICIENT_SIZE;
    if (have) { memset(infos, 0, sizeof *infos); infos[0].pid = gpu->pid; }
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *samples,
                                             unsigned int *n, unsigned long long last_us) {
    ENTER; GPU_OF(device);
    unsigned room = *n;
    if (!gpu->pid || last_us >= (unsigned long long)clock_us) return NVML_ERROR_NOT_FOUND;
    *n = 1;
    if (!samples || !room) return NVML_ERROR_INSUFFICIENT_SIZE;
    memset(samples, 0, sizeof *samples);
    samples[0].pid = gpu->pid; samples[0].smUtil = gpu->sm; samples[0].timeStamp = clock_us;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int n, nvmlFieldValue_t *values) {
    ENTER; GPU_OF(device);
    for (int i = 0; i < n; i++) {
        nvmlFieldValue_t *value = &values[i];
        value->timestamp = shown_us(gpu);
        value->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
        if (value->fieldId == NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION && gpu->has_energy) {
            value->valueType = NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
            value->value.ullVal = energy(gpu);
            value->nvmlReturn = NVML_SUCCESS;
        } else if (value->fieldId == NVML_FI_DEV_POWER_INSTANT && value->scopeId == NVML_POWER_SCOPE_MODULE) {
            value->valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
            value->value.uiVal = (unsigned)gpu->module_mw;
            value->nvmlReturn = gpu->module_mw ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
        } else if (value->fieldId == NVML_FI_DEV_POWER_INSTANT && value->scopeId == NVML_POWER_SCOPE_MEMORY) {
            value->valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
            value->value.uiVal = (unsigned)gpu->memory_mw;
            value->nvmlReturn = gpu->memory_mw ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
        } else if (value->fieldId == NVML_FI_DEV_POWER_INSTANT && gpu->has_instant) {
            value->valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
            value->value.uiVal = (unsigned)gpu->power_mw;
            value->nvmlReturn = NVML_SUCCESS;
        }
    }
    return NVML_SUCCESS;
}
