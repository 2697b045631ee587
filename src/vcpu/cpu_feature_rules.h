// What a CPU feature means nothing without. Pure; any thread.
// Specifications: Intel SDM volume 3, 17.1 (performance capabilities) and appendix A (VMX controls exist only
// with the instructions they are about); AMD APM volume 3, appendix E.
#pragma once

#include "vcpu/cpu_features.h"

namespace nandu {

// Takes away what stands on features that are absent.
void DropDependents(FeatureSet* features);

}  // namespace nandu
