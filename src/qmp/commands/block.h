// Commands and events of images. Control loop.
#pragma once

namespace nandu {

class BlockFacet;
class QmpRegistry;

void BindBlockCommands(QmpRegistry& registry, BlockFacet& block);  // the facet outlives the registry

}  // namespace nandu
