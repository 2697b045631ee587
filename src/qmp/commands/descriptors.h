// query-fdsets and remove-fd. Control loop.
#pragma once

namespace nandu {

class DescriptorFacet;
class QmpRegistry;
void BindDescriptorCommands(QmpRegistry& registry, DescriptorFacet& descriptors);  // the facet outlives it

}  // namespace nandu
