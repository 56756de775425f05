from cml.cli import main

main()
