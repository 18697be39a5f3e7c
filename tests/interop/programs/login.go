// What gokrb5 does of a client: login user realm password [ticket service | change password]
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
)

func main() {
	log.SetFlags(0)
	file, err := config.Load("/etc/krb5.conf")
	if err != nil {
		log.Fatalln("krb5.conf:", err)
	}
	// FAST is an Active Directory KDC's, by its documentation.
	user := client.NewWithPassword(os.Args[1], os.Args[2], os.Args[3], file, client.DisablePAFXFAST(true))
	if err := user.Login(); err != nil {
		log.Fatalln("login:", err)
	}
	fmt.Println("logged in")
	if len(os.Args) < 6 {
		return
	}
	switch os.Args[4] {
	case "ticket":
		ticket, _, err := user.GetServiceTicket(os.Args[5])
		if err != nil {
			log.Fatalln("ticket:", err)
		}
		fmt.Println("ticket of", ticket.SName.PrincipalNameString())
	case "change":
		if _, err := user.ChangePasswd(os.Args[5]); err != nil {
			log.Fatalln("change:", err)
		}
		fmt.Println("changed")
	}
}
