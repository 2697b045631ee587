#include "machine/help.h"

#include "vcpu/cpu_model.h"

namespace nandu {
std::string CpuHelpText() { return CpuHelp(); }
}  // namespace nandu
