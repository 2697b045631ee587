// Commands of screens. Control loop.
#pragma once

namespace nandu {

class DisplayFacet;
class QmpRegistry;

void BindDisplayCommands(QmpRegistry& registry, DisplayFacet& display);  // the facet outlives the registry

}  // namespace nandu
