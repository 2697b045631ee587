// The commands and events of the machine as a whole: its life and what it is. Control loop.
#pragma once

namespace nandu {

class InfoFacet;
class LifecycleFacet;
class QmpRegistry;

// The facets outlive the registry.
void BindMachineCommands(QmpRegistry& registry, LifecycleFacet& lifecycle, InfoFacet& info);

}  // namespace nandu
