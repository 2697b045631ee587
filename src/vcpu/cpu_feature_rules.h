// What a CPU feature means nothing without. Pure; any thread.
// Specifications: Intel SDM volume 3, 17.1 (performance capabilities) and appendix A (VMX controls exist only
// with the instructions they are about); AMD APM volume 3, appendix E.
#pragma once

#include "vcpu/cpu_features.h"

namespace nandu {

// Takes away what stands on features that are absent.
void DropDependents(FeatureSet* features);

// The components of extended state that these features are kept in, as bits of XCR0; none without XSAVE.
// SDM volume 1, 13.1.
uint64_t StateComponents(const FeatureSet& features);

}  // namespace nandu
