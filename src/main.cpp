// argv -> MachineConfig -> run.
int main() { return 0; }
